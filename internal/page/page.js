(() => {
  const form = document.querySelector("form");
  const body = document.querySelector("tbody");
  if (!form || !body) return;
  form.hidden = false;
  const worst = form.dataset.worst.split(" ");
  const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase(), condition: row.cells[1].dataset.c }));
  const count = document.getElementById("count");
  const filter = () => {
    const words = form.q.value.trim().toLowerCase();
    let shown = 0;
    for (const r of rows) {
      r.row.hidden = !r.text.includes(words) || (form.condition.value !== "" && r.condition !== form.condition.value);
      if (!r.row.hidden) shown++;
    }
    count.textContent = shown + " of " + form.dataset.all + " credentials";
  };
  const keys = {
    condition: (r) => String(worst.indexOf(r.condition)).padStart(2, "0"),
    credential: (r) => r.row.cells[0].textContent,
    age: (r) => (r.row.cells[3].textContent === "–" ? "" : String(99999 - Number(r.row.cells[3].textContent)).padStart(6, "0")),
    expires: (r) => r.row.cells[4].textContent,
    next: (r) => r.row.cells[5].textContent,
  };
  const sort = (by) => {
    const key = keys[by] || keys.condition;
    const none = (k) => (k === "–" || k === "" ? "~" : k);
    const pairs = rows.map((r) => [none(key(r)), r.row.cells[0].textContent, r]);
    pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : 1));
    body.append(...pairs.map((p) => p[2].row));
    for (const th of document.querySelectorAll("thead th[data-sort]")) {
      if (th.dataset.sort === by) th.setAttribute("aria-sort", "ascending");
      else th.removeAttribute("aria-sort");
    }
    form.sort.value = by;
  };
  form.q.addEventListener("input", filter);
  form.condition.addEventListener("change", filter);
  form.sort.addEventListener("change", () => sort(form.sort.value));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    filter();
  });
  for (const a of document.querySelectorAll("thead a")) {
    a.addEventListener("click", (e) => {
      e.preventDefault();
      sort(a.closest("th").dataset.sort);
    });
  }
})();
