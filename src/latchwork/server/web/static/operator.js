// A door in the picture leads to its page. Without this module the list beside the picture does the same.

document.addEventListener("click", (event) => {
  const door = event.target.closest("[data-doors] [data-act]");
  if (!door) return;
  const id = JSON.parse(door.dataset.act).door;
  location.assign(`${door.closest("[data-doors]").dataset.doors}/${encodeURIComponent(id)}`);
});
