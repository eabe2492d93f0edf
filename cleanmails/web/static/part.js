// Forms with `data-part`: buttons called `_do` (add a step, move one up) change the form alone. The server makes the new form out of what was
// typed, as it does without JavaScript; here only that form is exchanged, and the reader stays where he was.

import { begin as all, fetchPage } from "./app.js";

/** Listens to the forms within `root`. */
export function begin(root = document) {
  for (const form of root.querySelectorAll("form[data-part]")) {
    if (form.dataset.parting) continue;
    form.dataset.parting = "1";
    form.addEventListener("submit", async (event) => {
      if (event.submitter?.name !== "_do") return;
      event.preventDefault();
      const pairs = [...new FormData(form, event.submitter)];
      event.submitter.setAttribute("aria-busy", "true");
      if (!(await show(form, pairs, event.submitter))) event.submitter.removeAttribute("aria-busy");
    }, { capture: true });
  }
}

/** Exchanges a form for what the server makes of these pairs; whether that went well. */
export async function show(form, pairs, submitter = null) {
  const body = new URLSearchParams(pairs);
  if (!body.has("_do")) body.set("_do", "show");
  const found = await fetchPage(form.getAttribute("action") || location.href, { method: "POST", body });
  const fresh = found?.page.getElementById(form.id);
  if (!fresh) return false;
  const where = submitter?.id || document.activeElement?.id;
  form.replaceWith(fresh);
  all(fresh.parentElement ?? document);
  const focus = fresh.querySelector("[data-landing]") ?? (where ? document.getElementById(where) : null);
  focus?.focus();
  fresh.dispatchEvent(new Event("parted", { bubbles: true }));
  return true;
}
