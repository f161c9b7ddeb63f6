// Draws the wall as the board's process tells it, and turns clicks into hands. Keeps no state of its own.

const wall = document.getElementById("doors");
const template = document.getElementById("door");
const state = document.getElementById("state");

function said(door) {
  const words = [door.door, door.item ? "something inside" : "empty"];
  if (door.jammed) words.push("jammed");
  if (door.faults.length) words.push(door.faults.join(", ").replaceAll("_", " "));
  words.push(`${door.pulses} ${door.pulses === 1 ? "pulse" : "pulses"}`);
  return words.join(" · ");
}

function useful(door) {
  const open = door.door === "open";
  return { open: !open && !door.jammed, force: !open, close: open && !door.jammed, put: open && !door.item,
           take: open && door.item, jam: !door.jammed, unjam: door.jammed };
}

function draw(door) {
  let card = document.getElementById(`door-${door.channel}`);
  if (!card) {
    card = template.content.cloneNode(true).firstElementChild;
    card.id = `door-${door.channel}`;
    const name = door.label ? `Door ${door.label}` : `Channel ${door.channel}`;
    card.querySelector("h2").textContent = name;
    card.title = `Channel ${door.channel}: board ${door.board}, lock ${door.lock}`;
    for (const button of card.querySelectorAll("button")) {
      button.dataset.post = `/doors/${door.channel}/${button.dataset.action}`;
      button.setAttribute("aria-label", `${button.textContent}, ${name}`);
    }
    wall.append(card);
  }
  card.dataset.door = door.door;
  card.toggleAttribute("data-jammed", door.jammed);
  card.querySelector(".what").textContent = said(door);
  const can = useful(door);
  for (const button of card.querySelectorAll("button")) button.hidden = !can[button.dataset.action];
}

document.addEventListener("click", async (event) => {
  const path = event.target.closest("button")?.dataset.post;
  if (!path) return;
  const answer = await fetch(path, { method: "POST" });
  state.textContent = answer.ok ? "" : (await answer.json()).detail;
});

const events = new EventSource("/events");
events.addEventListener("wall", (event) => {
  const told = JSON.parse(event.data);
  document.getElementById("power").textContent = told.power ? "on" : "cut";
  document.getElementById("line").textContent = told.line ? `at ${told.port}` : "cut";
  document.getElementById("about").hidden = told.doors.length === 0;
  document.getElementById("climate").hidden = told.doors.length > 0;
  document.getElementById("celsius").textContent = `${told.celsius.toFixed(1)} °C`;
  document.querySelector("h1").textContent = `Simulated wall: ${told.family}`;
  told.doors.forEach(draw);
});
events.onopen = () => { state.textContent = ""; };
events.onerror = () => { state.textContent = "The simulated board does not answer. Trying again…"; };
