// The week of a schedule, drawn as it is chosen. Pulling across a row chooses the hours; the inputs stay the truth.

/** Draws the weeks within `root`. */
export function begin(root = document) {
  for (const form of root.querySelectorAll("[data-week]")) {
    if (form.dataset.drawn) continue;
    form.dataset.drawn = "1";
    const draw = () => paint(form);
    form.addEventListener("input", draw);
    form.addEventListener("filled", draw);
    pull(form, draw);
    draw();
  }
}

const minutes = (text) => {
  const found = /^(\d{1,2}):(\d{2})$/.exec(text.trim());
  return found ? Number(found[1]) * 60 + Number(found[2]) : null;
};
const input = (form, name) => form.elements.namedItem(`schedule_config.${name}`);

function paint(form) {
  const windowed = form.querySelector("[name=_window]:checked")?.value === "window";
  form.querySelector("[data-window]").hidden = !windowed;
  const days = new Set([...form.querySelectorAll("[name=_days]:checked")].map((box) => Number(box.value)));
  const start = minutes(input(form, "start").value);
  const end = minutes(input(form, "end").value);
  const whole = start !== null && end !== null && start !== end;
  for (const row of form.querySelectorAll("[data-day]")) {
    const day = Number(row.dataset.day);
    for (const cell of row.querySelectorAll("[data-hour]")) {
      let share = 0;
      for (let minute = 0; whole && minute < 60; minute += 15) {
        const at = Number(cell.dataset.hour) * 60 + minute;
        const inside = start < end
          ? days.has(day) && at >= start && at < end
          : (days.has(day) && at >= start) || (days.has((day + 6) % 7) && at < end);
        share += inside ? 1 : 0;
      }
      cell.className = share === 4 ? "open" : share ? "part" : "";
    }
  }
  const length = whole ? ((end - start + 1440) % 1440 || 1440) : 0;
  const said = form.querySelector("[data-said]");
  if (!whole || !days.size) said.textContent = "Choose at least one day, a start and an end.";
  else {
    const hours = Math.round((length * days.size) / 6) / 10;
    said.textContent = `Open ${hours} hours a week${start > end ? "; each window ends on the next day" : ""}.`;
  }
}

function pull(form, draw) {
  const grid = form.querySelector("[data-grid]");
  let from = null;
  const hour = (event) => event.target.closest?.("[data-hour]")?.dataset.hour;
  const clock = (value) => `${String(value).padStart(2, "0")}:00`;
  const choose = (to) => {
    const [low, high] = [Math.min(from, to), Math.max(from, to) + 1];
    input(form, "start").value = clock(low);
    input(form, "end").value = clock(high);
    draw();
  };
  grid.addEventListener("pointerdown", (event) => {
    if (hour(event) === undefined || form.querySelector("fieldset").disabled) return;
    from = Number(hour(event));
    const day = event.target.closest("[data-day]").dataset.day;
    const box = form.querySelector(`[name=_days][value="${day}"]`);
    box.checked = true;
    choose(from);
    event.preventDefault();
  });
  grid.addEventListener("pointerover", (event) => {
    if (from !== null && hour(event) !== undefined) choose(Number(hour(event)));
  });
  addEventListener("pointerup", () => {
    if (from === null) return;
    from = null;
    form.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
