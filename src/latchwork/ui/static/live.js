// Keeps part of a page fresh: <div data-live="/some/events"> takes the html of each "html" event sent there.
// The page stays whole and readable where this module does not run.

for (const place of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(place.dataset.live);
  source.addEventListener("html", (event) => {
    const held = document.activeElement?.id;
    place.innerHTML = event.data;
    if (held) document.getElementById(held)?.focus();
  });
}
