// Keeps part of a page fresh: <div data-live="/some/events"> takes the html of each "html" event sent there.
// The page stays whole and readable where this module does not run. What was unfolded stays so, and whoever does not see
// the page hears its new headings and notices. When no news can come in, the page says so in the words of data-stale.

const PATIENCE_MS = 5000;

const voice = document.createElement("p");
voice.className = "unseen";
voice.setAttribute("role", "status");
document.body.append(voice);

// A finger may be on a link: what comes meanwhile is shown when it has let go, and its click has been told.
let down = false;
addEventListener("pointerdown", () => (down = true), true);
for (const end of ["pointerup", "pointercancel", "dragend"]) {
  addEventListener(end, () => setTimeout(() => { down = false; dispatchEvent(new Event("let-go")); }), true);
}

const text = (element) => element.textContent.replace(/\s+/g, " ").trim();
const texts = (place, which) => [...place.querySelectorAll(which)].map(text);

for (const place of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(place.dataset.live);
  const stale = document.createElement("p");
  stale.className = "lost";
  stale.setAttribute("role", "alert");
  place.before(stale);
  let gone;
  source.addEventListener("error", () => {
    const patience = source.readyState === EventSource.CLOSED ? 0 : PATIENCE_MS;
    gone ??= setTimeout(() => (stale.textContent = place.dataset.stale), patience);
  });
  source.addEventListener("open", () => {
    clearTimeout(gone);
    gone = undefined;
    stale.textContent = "";
  });
  let shown, waiting;
  addEventListener("let-go", () => { if (waiting) renew(waiting); });
  source.addEventListener("html", (event) => {
    waiting = event.data;
    if (!down) renew(waiting);
  });
  function renew(html) {
    waiting = undefined;
    if (html === shown) return;
    shown = html;
    const held = place.contains(document.activeElement) ? document.activeElement : null;
    const unfolded = texts(place, "details[open] > summary");
    const [title] = texts(place, "h1");
    const known = texts(place, "h1, h1 + .badge, .notice strong");
    place.innerHTML = html;
    for (const summary of place.querySelectorAll("summary")) {
      if (unfolded.includes(text(summary))) summary.parentElement.open = true;
    }
    if (held) {
      const like = [...place.querySelectorAll(held.tagName)].filter((each) => each.id === held.id);
      const same = held.id ? like[0] : like.find((each) => text(each) === text(held));
      same?.focus({ preventScroll: true });
    }
    document.title = document.title.replace(title, () => texts(place, "h1")[0]);
    const news = texts(place, "h1, h1 + .badge, .notice strong").filter((each) => !known.includes(each));
    if (news.length) voice.textContent = news.join(". ").replaceAll("..", ".");
  }
}
