// Nothing typed is lost: what stands in a form with `data-keep="name"` is kept in this browser until the server says that it was saved
// (`data-kept` on the page), or the reader throws it away. Passwords are never kept.

const PREFIX = "keep:";
// What a form began from: by this the server sees what somebody else has saved meanwhile.
const BEGAN = new Set(["_version", "_base"]);
const OURS = new Set([...BEGAN, "_once", "_do", "_stay"]);
const LONGEST = 14 * 24 * 3600 * 1000;

/** Keeps the forms within `root`, and brings back what was kept of them. */
export function begin(root = document) {
  for (const form of root.querySelectorAll("form[data-keep]")) {
    if (form.dataset.keeping) continue;
    form.dataset.keeping = "1";
    offer(form);
    let timer;
    const later = () => { clearTimeout(timer); timer = setTimeout(() => keep(form), 300); };
    form.addEventListener("input", later);
    form.addEventListener("change", later);
    form.addEventListener("parted", later);
    form.addEventListener("submit", () => keep(form));
  }
}

function forget(name) {
  try { localStorage.removeItem(PREFIX + name); } catch { /* a browser that keeps nothing */ }
}

function pairs(form) {
  const secret = new Set([...form.querySelectorAll("[type=password], [data-unkept]")].map((input) => input.name));
  return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !secret.has(name));
}

function keep(form) {
  if (!form.isConnected) return;
  const value = JSON.stringify({ at: Date.now(), pairs: pairs(form) });
  try { localStorage.setItem(PREFIX + form.dataset.keep, value); } catch { /* full, or forbidden */ }
}

function read(form) {
  try {
    const found = JSON.parse(localStorage.getItem(PREFIX + form.dataset.keep));
    if (found && Date.now() - found.at < LONGEST) return found;
  } catch { /* unreadable is as good as none */ }
  return null;
}

// A form that the server has just filled with what was typed (it found faults) is newer than what was kept.
function offer(form) {
  const found = read(form);
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  if (!found || form.querySelector(".errors") || same(visible(found.pairs), visible(pairs(form)))) return;
  restore(form, found);
}

const visible = (list) => list.filter(([name]) => !OURS.has(name));

async function restore(form, found) {
  const names = (list) => visible(list).map(([name]) => name).join("\n");
  if (names(found.pairs) === names(pairs(form)) || !form.dataset.part) fill(form, found.pairs);
  else {
    const { show } = await import("./part.js");
    if (!(await show(form, found.pairs))) return;
    form = document.querySelector(`form[data-keep="${CSS.escape(form.dataset.keep)}"]`);
  }
  const note = document.createElement("div");
  note.className = "notice warn";
  note.setAttribute("role", "status");
  const text = document.createElement("p");
  const at = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(found.at);
  text.textContent = `What you had typed here (${at}) was brought back; it is not saved yet.`;
  const drop = document.createElement("button");
  drop.type = "button";
  drop.className = "second";
  drop.textContent = "Throw it away";
  drop.addEventListener("click", () => { forget(form.dataset.keep); location.reload(); });
  note.append(text, drop);
  form.prepend(note);
}

function fill(form, list) {
  const given = new Map();
  for (const [name, value] of list) given.set(name, [...(given.get(name) ?? []), value]);
  for (const input of form.elements) {
    if (BEGAN.has(input.name) && given.has(input.name)) input.value = given.get(input.name)[0];
    if (!input.name || input.type === "password" || OURS.has(input.name) || input.type === "hidden") continue;
    const values = given.get(input.name);
    if (input.type === "checkbox" || input.type === "radio") input.checked = Boolean(values?.includes(input.value));
    else if (values?.length && input.tagName !== "BUTTON") input.value = values.length > 1 ? values.shift() : values[0];
  }
  form.dispatchEvent(new Event("filled", { bubbles: true }));
}
