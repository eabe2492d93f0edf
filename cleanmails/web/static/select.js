// Forms with `data-select`: one box ticks all rows, and the number of those that are ticked is said.

/** Works on the forms within `root`. */
export function begin(root = document) {
  for (const form of root.querySelectorAll("form[data-select]")) {
    const all = form.querySelector("[data-all]");
    const count = form.querySelector("[data-count]");
    const boxes = () => [...form.querySelectorAll("tbody input[type=checkbox]")];
    if (!all || !count) continue;
    const first = count.textContent;
    const tell = () => {
      const ticked = boxes().filter((box) => box.checked).length;
      all.checked = ticked > 0 && ticked === boxes().length;
      all.indeterminate = ticked > 0 && !all.checked;
      count.textContent = ticked ? `${ticked} ticked` : first;
    };
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      tell();
    });
    form.addEventListener("change", (event) => { if (event.target !== all) tell(); });
    tell();
  }
}
