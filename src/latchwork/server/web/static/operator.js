// A door in the picture leads to its page. Without this module the list beside the picture does the same.

document.addEventListener("click", (event) => {
  const door = event.target.closest("[data-doors] [data-act]");
  if (!door) return;
  const id = JSON.parse(door.dataset.act).door;
  location.assign(`${door.closest("[data-doors]").dataset.doors}/${encodeURIComponent(id)}`);
});

// On a phone each row of a table stands as a little list, in which a cell says what it is. Without this module tables
// scroll sideways.
function label() {
  for (const table of document.querySelectorAll("table.rows")) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) for (const cell of row.cells) cell.dataset.label = heads[cell.cellIndex];
  }
}

label();
for (const place of document.querySelectorAll("[data-live]")) new MutationObserver(label).observe(place, { childList: true });
