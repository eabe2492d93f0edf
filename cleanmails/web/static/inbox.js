// The inbox: what is opened counts as read, and keys do what hands do (j and k: older and newer, r: answer, 1 to 5: labels, u: read or unread).

let listening = false;

/** Works on the inbox within `root`. */
export function begin() {
  document.querySelector(".threads [aria-current]")?.scrollIntoView({ block: "nearest" });
  const unread = document.querySelector("form[data-read]");
  if (unread && !unread.dataset.told) {
    unread.dataset.told = "1";
    fetch(unread.action, { method: "POST", body: new URLSearchParams({ unread: "no" }), redirect: "manual" });
  }
  if (listening) return;
  listening = true;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const wanted = { j: "[data-older]", k: "[data-newer]", r: "[data-answer]" }[event.key] ?? `[data-key="${CSS.escape(event.key)}"]`;
    const found = document.querySelector(`[data-inbox] ${wanted}`) ?? (event.key === "j" ? document.querySelector(".threads ol a") : null);
    if (!found) return;
    event.preventDefault();
    if (event.key === "r") found.focus();
    else found.click();
  });
}
