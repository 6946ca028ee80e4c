"""Pages as a browser lays them out, on a wide screen and on a telephone."""

import html
import json
import re
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1280, 390)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *(
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        "--dump-dom",
    ),
)
MEASURE = """
window.onload = () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.scrollingElement, faults = found[frame.name] = [];
    if (!page.body.innerText.trim()) faults.push("the page is empty");
    for (const part of page.querySelectorAll("details")) part.open = true;
    if (root.scrollWidth > frame.clientWidth) faults.push(`the page scrolls sideways: ${root.scrollWidth} pixels`);
    for (const part of page.querySelectorAll("body, body *")) {
      const style = frame.contentWindow.getComputedStyle(part);
      const seen = part.clientWidth > 1 && part.clientHeight > 1 && style.visibility != "hidden";
      if (!seen || style.overflowX == "visible" || part.scrollWidth <= part.clientWidth + 1) continue;
      const allowed = frame.width < 600 ? [ALLOWED, NARROW] : [ALLOWED];
      if (allowed.some(selector => selector && part.matches(selector))) continue;
      const name = `${part.localName}.${part.className} (${part.textContent.trim().slice(0, 40)})`;
      faults.push(`${name}: ${part.scrollWidth} pixels in ${part.clientWidth}`);
    }
  }
  document.body.textContent = JSON.stringify(found);
};
"""


def chromium():
    """The browser's command, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def complaints(pages, folder, allowed="", narrow=".table, figure"):
    """What a browser finds wrong with pages (files): {"folder/name at width": faults} of those that have any.

    A fault: the page, or a part of it, is wider than the room it has, so that it is cut or scrolls sideways. allowed:
    a CSS selector of parts that may scroll by themselves; narrow: of those that may on a telephone. What the console
    said is a fault of "console". folder: for the browser's files.
    """
    frames = [
        f'<iframe name="{page.parent.name}/{page.name} at {width}" src="{page.resolve().as_uri()}"'
        f' width="{width}" height="900" style="border: 0"></iframe>'
        for page in pages
        for width in WIDTHS
    ]
    script = (
        f"<script>const ALLOWED = {json.dumps(allowed)}, NARROW = {json.dumps(narrow)};{MEASURE}</script>"
    )
    (folder / "frames.html").write_text(f"<!doctype html>{script}<body>{''.join(frames)}</body>")
    command = (chromium(), *FLAGS, f"--user-data-dir={folder / 'profile'}", (folder / "frames.html").as_uri())
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    measured = re.search(r"<body>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert measured, done.stdout[-2000:]
    found = json.loads(html.unescape(measured[1]))
    assert len(found) == len(frames)
    found["console"] = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return {name: faults for name, faults in found.items() if faults}
