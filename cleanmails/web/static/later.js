// What takes a moment to work out (`data-later="ADDRESS"`, with a link to it inside) is fetched once the page stands, and put in its place.

import { begin as all, fetchPage } from "./app.js";

/** Fetches what is missing within `root`. */
export function begin(root = document) {
  for (const place of root.querySelectorAll("[data-later]")) {
    const address = place.dataset.later;
    place.removeAttribute("data-later");
    place.setAttribute("aria-busy", "true");
    fetchPage(address).then((found) => {
      place.removeAttribute("aria-busy");
      const fresh = found?.page.getElementById(place.id);
      if (!fresh) return;
      fresh.removeAttribute("data-later");
      place.replaceWith(fresh);
      all(fresh);
    });
  }
}
