// How far something is (`data-progress="ADDRESS"` of server-sent events): the bar moves as it goes, and the page is read anew once it is over.

import { met } from "./app.js";

const words = { queued: "It waits for its turn.", reading: "It is being read.", taking: "Its rows are being taken." };

/** Follows what is under way within `root`. */
export function begin(root = document) {
  for (const place of root.querySelectorAll("[data-progress]")) {
    if (place.dataset.following) continue;
    place.dataset.following = "1";
    const source = new EventSource(place.dataset.progress);
    source.addEventListener("open", () => met(true));
    source.addEventListener("error", () => met(false));
    source.addEventListener("import", (event) => {
      const now = JSON.parse(event.data);
      if (["done", "failed", "cancelled"].includes(now.state)) {
        source.close();
        location.reload();
        return;
      }
      const far = now.progress;
      place.querySelector("[data-what]").textContent = words[far?.phase ?? now.state] ?? now.state;
      if (!far) return;
      place.querySelector("progress").value = far.done;
      const left = far.seconds_left === null ? "" : `, about ${Math.max(1, Math.round(far.seconds_left))} s left`;
      place.querySelector("[data-more]").textContent = `${far.rows_read.toLocaleString("en")} rows read${left}.`;
    });
    addEventListener("pagehide", () => source.close());
  }
}
