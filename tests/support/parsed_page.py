"""A page of HTML taken apart, for the tests that look at one."""

from html.parser import HTMLParser


class Parsed(HTMLParser):
    """What a page holds: its ids, what its attributes hold, its elements and the text of some of them.

    title: that of the document; rows: the cells of every row of every table; terms: [name, words] of every list.
    """

    def __init__(self, text):
        super().__init__()
        self.ids, self.values, self.tags, self.plots, self.open = [], [], [], [], []
        self.text, self.title, self.rows, self.terms = "", "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.values += [(tag, name, value or "") for name, value in attrs]
        if tag == "svg":
            self.plots.append(dict(attrs) | {"title": "", "desc": "", "text": ""})
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "dt":
            self.terms.append(["", ""])

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if "svg" in self.open and self.open[-1] in ("title", "desc", "text"):
            self.plots[-1][self.open[-1]] += data
        elif "title" in self.open:
            self.title += data
        elif "th" in self.open or "td" in self.open:
            self.rows[-1][-1] += data
        elif "dt" in self.open:
            self.terms[-1][0] += data
        elif "dd" in self.open and self.terms:
            self.terms[-1][1] += data
