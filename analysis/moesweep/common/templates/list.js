// The case list can be searched and sorted; without this script it is a plain table.
const list = document.getElementById("case-list");
if (list) {
  const body = list.tBodies[0], lines = [...body.rows], heads = [...list.tHead.rows[0].cells];
  const count = document.createElement("span"), search = document.createElement("input");
  search.type = "search";
  search.placeholder = "{{ search }}";
  search.setAttribute("aria-label", search.placeholder);
  const find = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const line of lines) line.hidden = !words.every(word => line.textContent.toLowerCase().includes(word));
    count.textContent = `${lines.filter(line => !line.hidden).length} of ${lines.length}`;
  };
  search.addEventListener("input", find);
  const bar = document.createElement("p");
  bar.className = "search";
  bar.append(search, count);
  list.parentElement.before(bar);
  find();

  const value = cell => {
    const text = cell.textContent.trim().replace("−", "-"), number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text;
  };
  const compare = (a, b, sign) =>  // up or down; beside numbers, words such as "not routed" come last either way
    typeof a !== typeof b ? (typeof a === "number" ? -1 : 1)
      : sign * (typeof a === "number" ? a - b : a.localeCompare(b));
  const sort = head => {
    const column = heads.indexOf(head), down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keys = new Map(lines.map(line => [line, value(line.cells[column])]));
    body.append(...[...lines].sort((a, b) => compare(keys.get(a), keys.get(b), down ? -1 : 1)));
  };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }
}
