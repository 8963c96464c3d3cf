"use strict";
// Filters the table. A tbody is a group: the names of its members are in li elements, and the
// values by which it can be selected are in data-is. Without this script, all groups are shown.
const form = document.querySelector("form");
const output = form.querySelector("output");
const groups = Array.from(document.querySelectorAll("tbody"), (body) => ({
  body,
  is: body.dataset.is.split(" "),
  count: body.querySelector(".count"),
  details: body.querySelector("details"),
  members: Array.from(body.querySelectorAll("li"), (item) => [item, item.textContent.toLowerCase()]),
}));
const total = groups.reduce((sum, group) => sum + group.members.length, 0);
const columns = Array.from(document.querySelectorAll("[data-column]"), (list) => ({
  place: Number(list.dataset.column),
  names: list.textContent.toLowerCase(),
}));

function apply() {
  const name = form.elements.name.value.trim().toLowerCase();
  const word = form.elements.is.value;
  let shown = 0;
  for (const group of groups) {
    let found = 0;
    const chosen = word === "" || group.is.includes(word);
    for (const [item, text] of group.members) {
      const fits = chosen && text.includes(name);
      item.hidden = !fits;
      found += fits;
    }
    group.body.hidden = found === 0;
    group.count.textContent = found === group.members.length ? "" : `${found} of `;
    if (name !== "" && found !== 0 && group.details) group.details.open = true;
    shown += found;
  }
  for (const column of columns) {
    const fits = column.names.includes(form.elements.column.value.trim().toLowerCase());
    for (const row of document.querySelectorAll("thead tr, tr.group")) {
      row.cells[column.place].hidden = !fits;
    }
  }
  output.textContent = `${shown} of ${total} ${form.dataset.what}`;
}

form.hidden = false;
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
apply();
