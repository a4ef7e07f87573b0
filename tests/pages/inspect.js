// What is wrong with the page that this runs in, in words; [] for a page without faults.
(() => {
  const faults = [];
  const say = (element, text) => {
    const words = (element.getAttribute("aria-label") ?? element.textContent).trim().replace(/\s+/g, " ");
    faults.push(`${element.tagName.toLowerCase()} "${words.slice(0, 60)}": ${text}`);
  };
  for (const details of document.querySelectorAll("details")) details.open = true;
  const { scrollWidth } = document.scrollingElement;
  if (scrollWidth > innerWidth) {
    faults.push(`the page is ${scrollWidth} pixels wide, in a window of ${innerWidth}`);
  }
  // Labels that would lie on one another are made transparent.
  const shown = (element) =>
    element.checkVisibility({ opacityProperty: true }) && element.getClientRects().length > 0;

  // Pictures.
  for (const svg of document.querySelectorAll("svg")) {
    if (!shown(svg)) continue;
    const { left, right, top, bottom, width, height } = svg.getBoundingClientRect();
    if (width < 100 || height < 60) say(svg, `the chart has ${width} x ${height} pixels`);
    if (left < 0 || right > innerWidth + 0.5) say(svg, `the chart reaches from ${left} to ${right}`);
    const marks = [...svg.querySelectorAll("path, circle")].map((mark) => mark.getBoundingClientRect());
    if (!marks.some((mark) => mark.width > 1 && mark.height > 1)) say(svg, "the chart has no marks");
    const labels = [...svg.querySelectorAll("text")].filter((text) =>
      text.textContent.trim() !== "" && shown(text)
    )
      .map((text) => ({ text, box: text.getBoundingClientRect() }));
    for (const [index, { text, box }] of labels.entries()) {
      const size = parseFloat(getComputedStyle(text).fontSize) * width / svg.viewBox.baseVal.width;
      if (size < 9) say(text, `the label has ${size.toFixed(1)} pixels`);
      if (box.left < left - 1 || box.right > right + 1 || box.top < top - 1 || box.bottom > bottom + 1) {
        say(text, "the label is cut off");
      }
      for (const other of labels.slice(index + 1)) {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        // Boxes of text are higher than its letters.
        if (across > 1 && down > 4) say(text, `the label lies on "${other.text.textContent}"`);
      }
    }
  }
  for (const image of document.querySelectorAll("img")) {
    const { left, right, width } = image.getBoundingClientRect();
    if (!image.complete || image.naturalWidth === 0) faults.push(`image "${image.alt}" does not load`);
    if (width < 30 || left < 0 || right > innerWidth) {
      faults.push(`image "${image.alt}" lies at ${left} to ${right}`);
    }
  }

  // Text.
  const parse = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const over = (above, alpha, below) => above.map((value, at) => alpha * value + (1 - alpha) * below[at]);
  const ancestors = (element) => element ? [...ancestors(element.parentElement), element] : [];
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === "" || !shown(element) || element.closest("title, caption")) {
      continue;
    }
    let background = [255, 255, 255], opacity = 1;
    for (const ancestor of ancestors(element)) {
      const style = getComputedStyle(ancestor);
      const { rgb, alpha } = parse(style.backgroundColor);
      background = over(rgb, alpha, background);
      opacity *= Number(style.opacity);
    }
    const style = getComputedStyle(element);
    const { rgb, alpha } = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [light, dark] = [luminance(over(rgb, alpha * opacity, background)), luminance(background)].sort((
      a,
      b,
    ) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) say(element, `the contrast is ${contrast.toFixed(2)}`);
  }
  for (const element of document.querySelectorAll("h1, h2, h3, p, dt, dd, li, figcaption, summary")) {
    if (!shown(element)) continue;
    if (element.scrollWidth > element.clientWidth + 1) {
      say(element, `the text is ${element.scrollWidth} pixels wide, its place ${element.clientWidth}`);
    }
  }
  return faults;
})();
