// What every page has: a page is whole without this, and a little quicker with it. Modules that only some pages need are loaded by those.

const modules = [
  ["form[data-keep]", "./keep.js"],
  ["form[data-part]", "./part.js"],
  ["[data-live]", "./live.js"],
  ["[data-editor]", "./editor.js"],
  ["[data-week]", "./week.js"],
  ["[data-later]", "./later.js"],
  ["form[data-select]", "./select.js"],
  ["[data-progress]", "./progress.js"],
  ["[data-inbox]", "./inbox.js"],
];

/** Puts what a page brings to work, within `root`: the whole page, or a part of it that came anew. */
export function begin(root = document) {
  for (const button of root.querySelectorAll("[data-shut]")) button.hidden = false;
  for (const here of root.querySelectorAll(".rail [aria-current], .tabs [aria-current]")) here.scrollIntoView({ block: "nearest", inline: "center" });
  const needed = modules.filter(([selector]) => root.querySelector(selector));
  const begun = Promise.all(needed.map(async ([, path]) => (await import(path)).begin(root)));
  root.querySelector("[data-focus]")?.focus();
  return begun;
}

/** Says something at the foot of the page, for a while, to readers of screens too. */
export function say(text, seconds = 4) {
  let banner = document.getElementById("said");
  if (!banner) {
    banner = document.createElement("div");
    banner.id = "said";
    banner.className = "banner";
    banner.setAttribute("role", "status");
    document.body.append(banner);
  }
  banner.hidden = false;
  banner.textContent = text;
  clearTimeout(banner.timer);
  if (seconds) banner.timer = setTimeout(() => { banner.hidden = true; }, seconds * 1000);
}

/** Fetches a page of ours as a document. Whoever has been signed out meanwhile is told so; null for what could not be had. */
export async function fetchPage(address, options = {}) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, ...options });
    if (new URL(answer.url).pathname === "/sign-in") {
      say("Your session has ended. Sign in again in another tab; what you typed stays here.", 0);
      return null;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return { page, address: answer.url, ok: answer.ok };
  } catch {
    say("The server does not answer. What you typed stays here.", 8);
    return null;
  }
}

// What was saved need not be kept any more (`keep.js`), whatever page came after it.
const saved = document.documentElement.dataset.kept;
if (saved) {
  try { localStorage.removeItem(`keep:${saved}`); } catch { /* a browser that keeps nothing */ }
}

// The reader's zone, so that the server writes its times.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const known = /(?:^|; )zone=([^;]*)/.exec(document.cookie)?.[1];
if (zone && decodeURIComponent(known ?? "") !== zone) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax${secure}`;
}

document.addEventListener("click", async (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const copy = at("[data-copy]");
  if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
      say("Copied.");
    } catch {
      say("This browser does not let pages copy; select the text instead.");
    }
  }
  at("[data-shut]")?.closest(".notice")?.remove();
  // Browsers that know `command` do this by themselves.
  if (!("commandForElement" in HTMLButtonElement.prototype)) {
    const open = at("[data-open]");
    if (open) document.getElementById(open.dataset.open)?.showModal();
    const close = at("[data-close]");
    if (close) document.getElementById(close.dataset.close)?.close();
  }
  const link = at("a[data-drawer]");
  if (link && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
    event.preventDefault();
    openDrawer(link);
  }
  if (event.target.matches?.("dialog.drawer")) event.target.close();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  const typing = event.target.matches?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
});

async function openDrawer(link) {
  const found = await fetchPage(link.href);
  const main = found?.page.getElementById("content");
  if (!main) return;
  const drawer = document.createElement("dialog");
  drawer.className = "drawer";
  const heading = main.querySelector("h1");
  drawer.setAttribute("aria-label", heading?.textContent ?? link.textContent);
  const shut = document.createElement("button");
  shut.type = "button";
  shut.className = "bare shut";
  shut.setAttribute("aria-label", "Close");
  shut.append(document.querySelector("template#close-icon")?.content.cloneNode(true) ?? "✕");
  shut.addEventListener("click", () => drawer.close());
  main.querySelector("nav[aria-label='Where this is']")?.remove();
  const body = document.createElement("div");
  body.className = "stack";
  body.append(...main.childNodes);
  drawer.append(shut, body);
  drawer.addEventListener("close", () => { drawer.remove(); link.focus(); });
  document.body.append(drawer);
  drawer.showModal();
  begin(drawer);
}

// A form goes once, however often its button is pressed. One with words in it, and every one while the server seems to be away, goes only once the
// server has answered: a browser that finds nobody would put a page of its own in the place of what was typed.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.method !== "post" || form.target) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  submitter?.setAttribute("aria-busy", "true");
  if ((form.dataset.keep || away()) && !form.dataset.met) {
    event.preventDefault();
    const there = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(8_000) }).then(() => true, () => false);
    release(form);
    if (!there) {
      say("The server does not answer. Nothing was sent; what you typed stays here. Try again in a moment.", 0);
      return;
    }
    form.dataset.met = "1";
    form.requestSubmit(submitter);
    return;
  }
  delete form.dataset.met;
  // A server that does not answer must not lock the form for ever.
  setTimeout(() => release(form), 15_000);
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));
function release(form) {
  delete form.dataset.sent;
  form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
}

// Who writes into what belongs to a choice has chosen it: a launch must not be "now" because its date was given and not ticked.
document.addEventListener("input", (event) => {
  const choice = document.getElementById(event.target.dataset?.ticks ?? "");
  if (choice) choice.checked = true;
});

// Filters act when they are chosen.
document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form[data-auto]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});

let misses = 0;
const away = () => misses > 1 || !navigator.onLine;

/** What a stream noticed of the server: it is there, or it is not; whether it is back. A stream that ends by itself is missed once, and opened anew. */
export function met(there) {
  const back = there && misses > 1;
  misses = there ? 0 : misses + 1;
  if (back) say("Connected again.");
  if (misses === 2) say("The server does not answer. This page shows what was; it goes on by itself once the server is back.", 0);
  return back;
}

addEventListener("offline", () => say("No connection. What you type is kept in this browser.", 0));
addEventListener("online", () => say("Connected again."));

begin().then(() => performance.mark("begun"));
