"use strict";
// Filtering both tables by name and status; copying replay commands. The page is complete without it.
const form = document.querySelector(".filters");
if (form) {
  const [text, status, told] = form.elements;
  const rows = [...document.querySelectorAll("tr[data-name]")];
  const apply = () => {
    const name = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = row.dataset.name.toLowerCase().includes(name)
        && (!status.value || row.dataset.status.split(" ").includes(status.value));
      row.hidden = !fits;
      shown += fits;
    }
    told.value = shown === rows.length ? "" : `${shown} of ${rows.length}`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
}
for (const button of document.querySelectorAll(".replay button")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
  });
}
