(() => {
  "use strict";
  const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family",
    "font-weight", "text-anchor", "fill-opacity", "stroke-linejoin", "paint-order"];
  const SVG = "http://www.w3.org/2000/svg";

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function csvOf(table) {
    const quoted = (cell) => `"${cell.textContent.trim().replace(/\s+/g, " ").replaceAll('"', '""')}"`;
    return [...table.rows].map((row) => [...row.cells].map(quoted).join(",")).join("\r\n");
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
      const table = button.parentElement.previousElementSibling.querySelector("table");
      save(new Blob(["\ufeff", csvOf(table)], { type: "text/csv" }), name);
    } else if (kind === "svg") {
      save(new Blob([picture(view).text], { type: "image/svg+xml" }), name);
    } else {
      savePng(view, name);
    }
  }

  function compare(left, right) {
    const [a, b] = [left, right].map((text) => parseFloat(text.replace(/[,(]/g, "")));
    if (Number.isNaN(a) || Number.isNaN(b)) {
      return Number.isNaN(a) - Number.isNaN(b) || left.localeCompare(right);
    }
    return a - b || left.localeCompare(right);
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const titles = [...table.tHead.rows[0].cells];
    titles.forEach((title, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title.textContent;
      title.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = title.getAttribute("aria-sort") !== "ascending";
        titles.forEach((each) => each.removeAttribute("aria-sort"));
        title.setAttribute("aria-sort", up ? "ascending" : "descending");
        const text = (row) => row.cells[column].textContent.trim();
        const rows = [...body.rows].sort((a, b) => compare(text(a), text(b)));
        body.append(...(up ? rows : rows.reverse()));
      });
    });
    const label = document.createElement("label");
    label.className = "choice";
    label.append("Show rows with ");
    const input = document.createElement("input");
    input.type = "search";
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    label.append(input);
    const tell = () => {
      const wanted = input.value.toLowerCase();
      let shown = 0;
      for (const row of body.rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        shown += !row.hidden;
      }
      count.textContent = ` ${shown} of ${body.rows.length} rows`;
    };
    input.addEventListener("input", tell);
    table.closest(".scroll").before(label, count);
    tell();
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
