// The kiosk's page: posts presses, shows the answers, listens to the wall, types for fingers, scanners and keyboards.
// It decides nothing; every screen comes from the edge.

const stage = document.getElementById("stage");
const lost = document.getElementById("lost");
const voice = document.getElementById("voice");
const TICKET = /^\s*LW1\./i;
let clockOff = 0; // the edge's clock minus ours: countdowns follow the edge's
let latest = 0;
let shown = "";
let busy = false;
let warned = false;
let told = [];

async function press(body) {
  if (busy && body.do !== "search") return;
  busy = true;
  try {
    const answer = await fetch("/act", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      const shape = await answer.json();
      show(shape, shape.refusal !== null); // the same no again is said aloud again
    } else if (answer.status >= 500) lost.hidden = false; // a 4xx is a slip of the finger: the screen stays as it is
  } catch {
    lost.hidden = false;
  } finally {
    busy = false;
  }
}

function show(answer, anew = false) {
  if (answer.order < latest) return; // the wall was faster than the answer to a press
  latest = answer.order;
  clockOff = Date.parse(answer.now) - Date.now();
  lost.hidden = true;
  if (answer.html === shown && !anew) return; // a finger may be on a button: do not swap it for its like
  shown = answer.html;
  busy = false; // a new question may be answered at once, even if the wall was told of it before the answer came
  const held = document.activeElement;
  const same = stage.dataset.screen === answer.screen;
  const kept = same ? typed() : {};
  const heldId = held?.id;
  stage.innerHTML = answer.html;
  stage.dataset.screen = answer.screen;
  const screen = stage.querySelector(".screen");
  document.documentElement.lang = screen.dataset.lang;
  document.documentElement.dir = screen.dataset.dir;
  document.documentElement.dataset.large = screen.dataset.large;
  for (const [id, value] of Object.entries(kept)) {
    const input = document.getElementById(id);
    if (input) input.value = value;
  }
  suitKeys();
  look();
  settle(same && heldId ? document.getElementById(heldId) : null);
  count();
  tell();
}

// Whoever does not see the screen hears what is new on it, and what the focus has not said already.
function tell() {
  const parts = [...stage.querySelectorAll("#title, .sign__hint, .counts, .notice[role=status], .people")];
  const texts = parts.map((part) => part.textContent.replace(/\s+/g, " ").trim());
  const news = texts.filter((text, n) => parts[n] !== document.activeElement && !told.includes(text));
  if (news.length) voice.textContent = news.join(". ").replaceAll("..", ".");
  told = texts;
}

function typed() {
  return Object.fromEntries([...stage.querySelectorAll("input[id]")].map((input) => [input.id, input.value]));
}

// Focus: where it was, else the warning, else the field that takes input, else the question.
function settle(before) {
  const idle = stage.querySelector(".idle .button");
  if (idle) {
    if (!warned) beep();
    warned = true;
    idle.focus();
    return;
  }
  warned = false;
  const place = before ?? stage.querySelector("[data-catch]") ?? stage.querySelector("#title");
  place?.focus({ preventScroll: true });
  if (place instanceof HTMLInputElement) place.setSelectionRange(place.value.length, place.value.length);
}

// A phone brings its own keys; on the wall ours are on the screen and the system's must stay away.
function suitKeys() {
  const small = matchMedia("(max-width: 28rem) and (max-height: 60rem)").matches;
  for (const input of stage.querySelectorAll("[data-own-keys]")) input.inputMode = small ? "text" : "none";
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-photo]")) return shoot();
  const acting = event.target.closest("[data-act]");
  if (acting) return void press(JSON.parse(acting.dataset.act));
  const key = event.target.closest("[data-key]");
  if (key) type(key.dataset.key, document.getElementById(key.closest("[data-types-into]").dataset.typesInto));
});

function type(key, input) {
  if (key === "delete") input.value = input.value.slice(0, -1);
  else input.value += key === "space" ? " " : key;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = event.target.querySelector("input");
  const waiting = event.target.querySelector("[type=submit][aria-disabled=true]");
  if (field.value.trim() && (!waiting || TICKET.test(field.value))) enter(event.target.dataset.do, field);
});

function enter(kind, field) {
  const text = field.value.trim();
  if (kind !== "search") field.value = "";
  const more = field.form?.dataset.more;
  press(more ? { do: kind, ...JSON.parse(more), [field.name]: text } : meaning(kind, text, field.name));
}

// A scanner types like a keyboard: what it typed is told by its look, wherever it arrives.
function meaning(kind, text, name) {
  if (TICKET.test(text)) return { do: "ticket", text };
  if (kind === "code" && !/^[0-9][0-9 -]{0,15}$/.test(text)) return { do: "label", label: text };
  return { do: kind, [name]: text };
}

// What a reader of the wall has read: as if its text had been typed here.
function taken({ kind, text }) {
  const field = stage.querySelector("[data-catch]");
  const place = stage.querySelector("[data-scan]");
  if (kind === "card") press({ do: "card", card: text });
  else if (field?.form) {
    field.value = text;
    enter(field.form.dataset.do, field);
  } else if (place) press(meaning(place.dataset.scan, text, "label"));
}

let searching = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-as-you-type]");
  if (!form) return;
  clearTimeout(searching);
  searching = setTimeout(() => press({ do: form.dataset.do, [event.target.name]: event.target.value }), 180);
});

// Keys without a field to go to: into the field that catches them, or into a buffer where only a scan makes sense.
let scanned = "";
let scannedAt = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target instanceof HTMLInputElement) return;
  const printable = event.key.length === 1;
  const field = stage.querySelector("[data-catch]");
  if (field && printable && event.key !== " ") return void field.focus();
  const place = stage.querySelector("[data-scan]");
  if (!place) return;
  if (event.timeStamp - scannedAt > 1000) scanned = "";
  if (printable) {
    scanned += event.key;
    scannedAt = event.timeStamp;
    if (scanned.length > 1) event.preventDefault();
  } else if (event.key === "Enter" && scanned.length > 3) {
    event.preventDefault();
    press(meaning(place.dataset.scan, scanned, place.dataset.scan));
    scanned = "";
  }
});

// Countdowns
function count() {
  for (const place of stage.querySelectorAll("[data-until]")) {
    const left = Math.ceil((Date.parse(place.dataset.until) - Date.now() - clockOff) / 1000);
    const words = place.querySelector(".countdown");
    words.textContent = left > 0 ? words.dataset.words.replace("{seconds}", left) : "";
    if (place.classList.contains("notice")) {
      // Not really disabled: a scanner's Enter must still get its QR code through.
      for (const button of stage.querySelectorAll("[type=submit]")) button.ariaDisabled = String(left > 0);
    }
  }
}
setInterval(count, 500);

// The camera runs only while its screen is shown. A picture is made small here; the edge takes no large one.
const PHOTO_CHARACTERS_MAX = 80000;
let camera = null;
async function look() {
  const view = document.getElementById("camera");
  if (!view) {
    camera?.getTracks().forEach((track) => track.stop());
    camera = null;
    return;
  }
  try {
    camera ??= await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: 1280 } });
    view.srcObject = camera;
    await view.play();
    document.getElementById("shoot").disabled = false;
  } catch {
    view.hidden = true;
    document.getElementById("shoot").hidden = true;
    document.getElementById("no-camera").hidden = false;
  }
  if (!view.isConnected) look(); // the screen has gone while the camera was being asked for
}

function shoot() {
  const view = document.getElementById("camera");
  const canvas = document.createElement("canvas");
  for (let width = Math.min(view.videoWidth, 960), jpeg; width > 100; width *= 0.75) {
    canvas.width = width;
    canvas.height = (width * view.videoHeight) / view.videoWidth;
    canvas.getContext("2d").drawImage(view, 0, 0, canvas.width, canvas.height);
    jpeg = canvas.toDataURL("image/jpeg", 0.7).split(",")[1];
    if (jpeg.length <= PHOTO_CHARACTERS_MAX) return void press({ do: "photo", jpeg });
  }
}

// A second sense beside the eye before time runs out.
function beep() {
  try {
    const sound = new AudioContext();
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    volume.gain.value = 0.1;
    tone.frequency.value = 660;
    tone.connect(volume).connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + 0.25);
    tone.onended = () => sound.close();
  } catch {
    // no sound here
  }
}

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("screen", (event) => {
    show(JSON.parse(event.data));
  });
  source.addEventListener("scan", (event) => {
    taken(JSON.parse(event.data));
  });
  source.addEventListener("open", () => {
    lost.hidden = true;
    latest = 0; // a restarted edge counts anew
  });
  source.addEventListener("error", () => {
    lost.hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(sitDown, 500);
  });
}

// The edge does not know our cookie (it has restarted, or we signed in meanwhile): the present screen, then listen.
async function sitDown() {
  if (busy) return void setTimeout(sitDown, 100); // an answer with a new cookie is on its way
  try {
    const answer = await fetch("/screen");
    latest = 0;
    if (answer.ok) show(await answer.json());
    listen();
  } catch {
    setTimeout(sitDown, 2000);
  }
}

suitKeys();
look();
settle(null);
count();
listen();
