// The editor of steps: buttons put tags where the caret is, and the step that is being written is shown as a lead gets it, with what a filter would mind.

const WAIT = 450;

/** Brings the editors within `root` to work. */
export function begin(root = document) {
  for (const editor of root.querySelectorAll("[data-editor]")) {
    for (const tools of editor.querySelectorAll("[data-tools]")) tools.hidden = false;
    if (editor.dataset.editing) continue;
    editor.dataset.editing = "1";
    start(editor);
  }
}

function start(editor) {
  const pane = editor.querySelector("[data-preview]");
  let last = null;
  let timer;
  let shown = "";
  pane.hidden = false;

  const step = () => {
    const here = document.activeElement?.closest?.("[data-step]");
    const wanted = here ?? editor.querySelector(`[data-step="${pane.dataset.at ?? 0}"]`) ?? editor.querySelector("[data-step]");
    if (wanted) pane.dataset.at = wanted.dataset.step;
    return wanted;
  };
  const later = () => { clearTimeout(timer); timer = setTimeout(show, WAIT); };

  async function show() {
    const section = step();
    if (!section) return;
    const words = [...section.querySelectorAll("input[data-words]")].map((input) => input.value).filter((text) => text.trim());
    const body = section.querySelector("textarea[data-words]").value;
    const lead = editor.querySelector("#preview-lead")?.value ?? "";
    const key = JSON.stringify([section.dataset.step, words, body, lead]);
    if (key === shown) return;
    shown = key;
    pane.querySelector("[data-preview-step]").textContent = `step ${Number(section.dataset.step) + 1}`;
    const form = editor.querySelector("#preview-form");
    if (form) {
      form.elements.step.value = section.dataset.step;
      form.elements.body.value = body;
      form.querySelector("[data-subjects]").replaceChildren(...words.map((text) => {
        const input = document.createElement("input");
        input.type = "hidden";
        input.name = "subjects";
        input.value = text;
        return input;
      }));
      // A fresh frame each time, so that the way back leads to the page before and not through every keystroke.
      const frame = editor.querySelector("iframe.mail");
      frame.replaceWith(frame.cloneNode(false));
      form.submit();
    }
    find(words, body);
  }

  async function find(subjects, body) {
    const list = editor.querySelector("[data-findings]");
    try {
      const answer = await fetch("/v1/outreach/step-checks", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ subjects, body }),
      });
      if (!answer.ok) return;
      const { findings } = await answer.json();
      list.replaceChildren(...findings.map((finding) => {
        const item = document.createElement("li");
        item.className = finding.severity;
        item.textContent = finding.sentence;
        return item;
      }));
    } catch { /* the next keystroke tries again */ }
  }

  editor.addEventListener("focusin", (event) => {
    if (event.target.matches?.("[data-words]")) last = event.target;
    if (event.target.closest?.("[data-step]")) later();
  });
  editor.addEventListener("input", later);
  editor.addEventListener("change", later);
  for (const name of ["filled", "parted"]) editor.addEventListener(name, later);
  editor.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-put]");
    if (!button) return;
    const section = button.closest("[data-step]");
    const field = last?.isConnected && section.contains(last) ? last : section.querySelector("textarea[data-words]");
    field.focus();
    field.setRangeText(button.dataset.put, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  later();
}
