// A choice of versions below the title, where the site stands beside those of others: tools/docs/versions.py.
(async () => {
  if (location.protocol === "file:") return;
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const answer = await fetch(new URL("../versions.json", root));
  if (!answer.ok) return;
  const here = root.pathname.split("/").filter(Boolean).pop();
  const choice = document.createElement("select");
  choice.className = "versions";
  choice.setAttribute("aria-label", "Version");
  for (const version of await answer.json()) {
    choice.append(new Option(version, version, false, version === here));
  }
  choice.addEventListener("change", async () => {
    const page = location.href.split(/[?#]/)[0].slice(root.href.length);
    const same = new URL(`../${choice.value}/${page}`, root);
    const there = await fetch(same, { method: "HEAD" });
    location.assign(there.ok ? same : new URL(`../${choice.value}/index.html`, root));
  });
  document.querySelector(".sidebar-brand").after(choice);
})();
