(() => {
  "use strict";
  const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family",
    "font-weight", "text-anchor", "fill-opacity", "stroke-linejoin", "paint-order", "filter"];
  const SVG = "http://www.w3.org/2000/svg";

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function csvOf(table) {
    const inPage = () => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent));
    const rows = (listsOf.get(table) || inPage)();
    const quoted = (text) => `"${text.trim().replace(/\s+/g, " ").replaceAll('"', '""')}"`;
    return rows.map((cells) => cells.map(quoted).join(",")).join("\r\n");
  }

  // A copy carries its own colours, so that it is whole outside this page.
  function copyOf(svg) {
    const copy = svg.cloneNode(true);
    const own = [svg, ...svg.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((element, number) => {
      const style = getComputedStyle(own[number]);
      element.setAttribute("style", DRAWN.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
      element.removeAttribute("class");
    });
    return copy;
  }

  function wrote(text, x, y, ink, weight) {
    const element = document.createElementNS(SVG, "text");
    element.setAttribute("x", x);
    element.setAttribute("y", y);
    element.setAttribute("style", `fill:${ink};font:${weight} 13px sans-serif`);
    element.textContent = text;
    return element;
  }

  // The figure with its title and legend, as a picture of its own.
  function picture(view) {
    const svg = view.querySelector("svg.chart");
    const style = getComputedStyle(svg);
    const page = getComputedStyle(document.body);
    const box = svg.getBoundingClientRect();
    const [left, top, right, bottom] =
      ["Left", "Top", "Right", "Bottom"].map((side) => parseFloat(style[`margin${side}`]));
    const entries = [...view.querySelectorAll(".legend li:not(.legend-title)")];
    const head = 30 + 20 * entries.length;
    const width = left + box.width + right;
    const height = head + top + box.height + bottom;
    const whole = document.createElementNS(SVG, "svg");
    whole.setAttribute("xmlns", SVG);
    whole.setAttribute("width", width);
    whole.setAttribute("height", height);
    const ground = document.createElementNS(SVG, "rect");
    ground.setAttribute("width", "100%");
    ground.setAttribute("height", "100%");
    ground.setAttribute("fill", page.backgroundColor);
    const title = view.querySelector(".plot").getAttribute("aria-label");
    whole.append(ground, wrote(title, 8, 20, page.color, 600));
    entries.forEach((entry, number) => {
      const key = copyOf(entry.querySelector("svg"));
      key.setAttribute("x", 8);
      key.setAttribute("y", 32 + 20 * number);
      whole.append(key, wrote(entry.textContent.trim(), 38, 44 + 20 * number, page.color, 400));
    });
    const chart = copyOf(svg);
    const places = { x: left, y: head + top, width: box.width, height: box.height, overflow: "visible" };
    for (const [name, value] of Object.entries(places)) chart.setAttribute(name, value);
    whole.append(chart);
    return { text: new XMLSerializer().serializeToString(whole), width, height };
  }

  function savePng(view, name) {
    const { text, width, height } = picture(view);
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = 2 * width;
      canvas.height = 2 * height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, name));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  function download(button) {
    const kind = button.dataset.download;
    const view = button.closest(".view");
    const name = `${view ? view.dataset.name : button.closest("section").id}.${kind}`;
    if (kind === "csv") {
      // Excel reads UTF-8 only behind this mark.
      const table = button.closest(".table").querySelector("table");
      save(new Blob(["\ufeff", csvOf(table)], { type: "text/csv" }), name);
    } else if (kind === "svg") {
      save(new Blob([picture(view).text], { type: "image/svg+xml" }), name);
    } else {
      savePng(view, name);
    }
  }

  // Of a table that can be sorted and filtered only some rows are in the page; the others are data.
  const AT_A_TIME = 200;
  const listsOf = new Map();

  const numberIn = (text) => parseFloat(text.replace(/[,(]/g, ""));
  function compare(a, b) {
    if (Number.isNaN(a.number) || Number.isNaN(b.number)) {
      return Number.isNaN(a.number) - Number.isNaN(b.number) || a.text.localeCompare(b.text);
    }
    return a.number - b.number || a.text.localeCompare(b.text);
  }

  function rowOf(cells) {
    const row = document.createElement("tr");
    cells.forEach((text, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const titles = [...table.tHead.rows[0].cells];
    const others = table.closest(".table").querySelector("script.rows");
    const inPage = [...body.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
    const columns = others ? JSON.parse(others.textContent) : [];
    const cellsAt = (row) => columns.map(([texts, places]) => texts[places[row]]);
    let rows = [...inPage, ...(others ? columns[0][1].map((_, row) => cellsAt(row)) : [])];
    let most = AT_A_TIME;
    listsOf.set(table, () => [titles.map((title) => title.textContent.trim()), ...rows]);

    const label = document.createElement("label");
    label.className = "choice";
    label.append("Show rows with ");
    const input = document.createElement("input");
    input.type = "search";
    label.append(input);
    const count = document.createElement("span");
    count.className = "choice count";
    count.setAttribute("role", "status");
    const more = document.createElement("button");
    more.type = "button";
    more.textContent = `Show ${AT_A_TIME} more rows`;
    const order = () => {
      const title = titles.find((each) => each.hasAttribute("aria-sort"));
      return title ? `, by ${title.textContent.trim()}, ${title.getAttribute("aria-sort")}` : "";
    };
    const number = (value) => value.toLocaleString("en");
    const show = () => {
      const wanted = input.value.trim().toLowerCase();
      const found = rows.filter((cells) => cells.join(" ").toLowerCase().includes(wanted));
      const shown = found.slice(0, most);
      body.replaceChildren(...shown.map(rowOf));
      const first = shown.length < found.length ? `, the first ${number(shown.length)} shown` : "";
      count.textContent = `${number(found.length)} of ${number(rows.length)} rows${first}${order()}`;
      more.hidden = shown.length === found.length;
    };
    titles.forEach((title, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title.textContent;
      title.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = title.getAttribute("aria-sort") !== "ascending";
        titles.forEach((each) => each.removeAttribute("aria-sort"));
        title.setAttribute("aria-sort", up ? "ascending" : "descending");
        const keyed = rows.map((cells) => ({ text: cells[column], number: numberIn(cells[column]), cells }));
        keyed.sort(compare);
        rows = (up ? keyed : keyed.reverse()).map((each) => each.cells);
        most = AT_A_TIME;
        show();
      });
    });
    input.addEventListener("input", () => {
      most = AT_A_TIME;
      show();
    });
    more.addEventListener("click", () => {
      most += AT_A_TIME;
      show();
    });
    const region = table.closest(".scroll");
    region.before(label, count);
    region.after(more);
    show();
  }

  function paper(on) {
    for (const details of document.querySelectorAll("details.paper")) {
      if (on) details.dataset.open = details.open;
      details.open = on || details.dataset.open === "true";
    }
  }

  for (const choice of document.querySelectorAll("select[data-panel]")) {
    const views = [...document.getElementById(choice.dataset.panel).querySelectorAll(".view")];
    const show = () => views.forEach((view, number) => { view.hidden = number !== Number(choice.value); });
    choice.addEventListener("change", show);
    // Browsers keep a choice over a reload.
    show();
  }
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-download]");
    if (button) download(button);
  });
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));
})();
