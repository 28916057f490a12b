(() => {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const themes = read("themes");
  const plots = [...document.querySelectorAll(".plot")];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const settings = { displayModeBar: false };
  let printing = false;

  function draw(plot) {
    // Plotly writes into what it is given, so it gets a copy.
    const figure = structuredClone(figures[plot.dataset.figures][Number(plot.dataset.view || 0)]);
    figure.layout.template = themes[dark.matches && !printing ? "dark" : "light"];
    plot.style.height = `${figure.layout.height}px`;
    // Plotly's own resizing waits for a timer, which printing does not.
    figure.layout.width = plot.clientWidth;
    Plotly.react(plot, figure.data, figure.layout, settings);
  }

  function select(plot, view) {
    plot.dataset.view = view;
    const captions = plot.parentElement.querySelectorAll(".view");
    captions.forEach((caption, number) => { caption.hidden = number !== view; });
    draw(plot);
  }

  function paper(on) {
    printing = on;
    document.documentElement.classList.toggle("paper-width", on);
    for (const details of document.querySelectorAll("details.paper")) {
      if (on) details.dataset.open = details.open;
      details.open = on || details.dataset.open === "true";
    }
    plots.forEach(draw);
  }

  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.clientWidth !== target.layout.width) draw(target);
    }
  });
  for (const plot of plots) {
    draw(plot);
    watch.observe(plot);
  }
  for (const choice of document.querySelectorAll("select[data-plot]")) {
    const plot = document.getElementById(choice.dataset.plot);
    choice.addEventListener("change", () => select(plot, Number(choice.value)));
    // Browsers keep a choice over a reload.
    if (choice.value !== "0") select(plot, Number(choice.value));
  }
  dark.addEventListener("change", () => plots.forEach(draw));
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));
})();
