// Days one by one: what draws them is fetched when somebody asks for it.
for (const ask of document.querySelectorAll("[data-look]")) {
  const figure = ask.closest("figure");
  ask.hidden = false;
  ask.addEventListener("click", async () => {
    const silent = figure.querySelector("[data-for=offline]");
    ask.disabled = true;
    try {
      await (await import("./chart-view.js")).open(figure);
      ask.hidden = silent.hidden = true;
    } catch (error) {
      console.error(error);
      silent.hidden = ask.disabled = false;
    }
  });
}
