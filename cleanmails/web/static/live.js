// Live pages: regions with an id and `data-live="type,type"` are read anew when an event of such a type comes (server-sent events), at most every
// two seconds. `data-campaign` narrows it to one campaign. A hidden tab holds no connection.

import { fetchPage, met } from "./app.js";

const GAP = 2_000;
let source = null;
let timer = null;
let last = 0;

const regions = () => [...document.querySelectorAll("[data-live][id]")];

/** Follows what the regions of the page are about. */
export function begin() {
  if (source || !regions().length) return;
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", stop);
  follow();
}

function stop() {
  source?.close();
  source = null;
}

function follow() {
  if (document.hidden) {
    stop();
    return;
  }
  if (source) return;
  const types = [...new Set(regions().flatMap((region) => region.dataset.live.split(",")))].filter(Boolean);
  const query = new URLSearchParams(types.length ? { types: types.join(",") } : {});
  const campaign = regions().find((region) => region.dataset.campaign)?.dataset.campaign;
  if (campaign) query.set("campaign_id", campaign);
  source = new EventSource(`/v1/outreach/events/stream?${query}`);
  for (const type of types) source.addEventListener(type, later);
  source.addEventListener("open", () => { if (met(true)) later(); });
  source.addEventListener("error", () => met(false));
  if (last) later();
  last ||= Date.now();
}

function later() {
  timer ??= setTimeout(refresh, Math.max(0, GAP - (Date.now() - last)));
}

async function refresh() {
  timer = null;
  last = Date.now();
  const found = await fetchPage(location.href);
  if (!found?.ok) return;
  for (const region of regions()) {
    const fresh = found.page.getElementById(region.id);
    const busy = region.contains(document.activeElement) || region.querySelector("dialog[open], details[open]");
    if (fresh && !busy && fresh.innerHTML !== region.innerHTML) {
      region.replaceChildren(...document.importNode(fresh, true).childNodes);
      region.dispatchEvent(new Event("refreshed", { bubbles: true }));
    }
  }
}
