// Forms that carry a passkey: the browser is asked, its answer goes into the form, and the form goes its usual way.

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const options = JSON.parse(form.dataset.options);
  const trouble = form.querySelector("[data-trouble]");
  const known = window.PublicKeyCredential?.parseRequestOptionsFromJSON !== undefined;
  if (!known || location.hostname !== form.dataset.host) {
    form.querySelector("button").disabled = true;
    trouble.textContent = known ? form.dataset.elsewhere : form.dataset.unknown;
    continue;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    try {
      const answer =
        form.dataset.passkey === "make"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      form.elements.answer.value = JSON.stringify(answer.toJSON());
      form.submit();
    } catch (error) {
      trouble.textContent = error.name === "InvalidStateError" ? form.dataset.twice : form.dataset.failed;
    }
  });
}
