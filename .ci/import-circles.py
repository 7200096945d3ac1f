"""Finds circles among the files of a crate: files that name one another's items.

    import-circles.py SRC=FILES...

SRC is a crate's `src` folder, FILES how many files its largest circle may have; 0: there must be none.

An item that is re-exported counts as the file's that defines it. Tests do not count. It reads `use` items and paths in
the text, not what macros make of them.
"""

import re
import sys
from pathlib import Path

USE = re.compile(r"(pub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);")
TESTS = re.compile(r"#\[cfg\((?:test|all\(test[^\n]*)\)\]\s*(?:#\[[^\n]*\n\s*)*(?:pub(?:\([^)]*\))?\s+)?mod \w+ \{")
PATH = re.compile(r"(?<![\w:.])((?:crate|super|self|[a-z_]\w*)(?:::\w+)+)")


def modules(root):
    """The text of each file without comments and tests, by its module's path."""
    texts = {}
    for file in Path(root).rglob("*.rs"):
        if "tests" in str(file.relative_to(root)):
            continue
        parts = list(file.relative_to(root).with_suffix("").parts)
        if parts[-1] in ("mod", "lib"):
            parts.pop()
        text = re.sub(r"//[^\n]*", "", file.read_text())
        tests = TESTS.search(text)
        texts[tuple(parts)] = text[: tests.start()] if tests else text
    return texts


def leaves(tree, prefix=()):
    """The paths of a `use` item: `a::{b, c::d}` is `a::b` and `a::c::d`."""
    tree = tree.strip()
    group = re.fullmatch(r"(.*?)(?:::)?\{(.*)\}", tree, re.S)
    if not group:
        path = re.sub(r"\s+as\s+\w+", "", tree)
        return [prefix + tuple(path.split("::"))] if path else []
    prefix += tuple(part for part in group[1].split("::") if part)
    found, depth, branch = [], 0, ""
    for letter in group[2] + ",":
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            found += leaves(branch, prefix)
            branch = ""
        else:
            branch += letter
    return found


class Crate:
    def __init__(self, root):
        self.texts = modules(root)
        self.re_exports = {}
        for module, text in self.texts.items():
            for public, tree in USE.findall(text):
                for path in leaves(tree) if public else ():
                    origin = self.resolve(module, path)
                    if origin and origin[0] != module:
                        self.re_exports.setdefault(module, {})[origin[1] or path[-1]] = origin[0]

    def resolve(self, module, path):
        """The module that a path leads to and the item in it, if it stays within the crate."""
        here, path = list(module), list(path)
        if path[0] == "crate":
            here, path = [], path[1:]
        elif path[0] == "self":
            path = path[1:]
        elif path[0] == "super":
            while path and path[0] == "super":
                here, path = here[:-1], path[1:]
        elif (*here, path[0]) not in self.texts:
            return None
        while path and (*here, path[0]) in self.texts:
            here.append(path.pop(0))
        return tuple(here), path[0] if path and path[0] != "self" else None

    def definer(self, module, item):
        """The module that defines what another one re-exports."""
        seen = set()
        while module not in seen:
            seen.add(module)
            re_exports = self.re_exports.get(module, {})
            defines = re.search(rf"\b(struct|enum|trait|fn|type|const|static)\s+{item}\b", self.texts[module])
            module = re_exports.get(item, module if defines else re_exports.get("*", module))
        return module

    def named_by(self, module):
        """The modules whose items a file names."""
        text, imported, named = self.texts[module], {}, set()
        paths = []
        for public, tree in USE.findall(text):
            for path in leaves(tree):
                target = self.resolve(module, path)
                if target and not target[1]:
                    imported[path[-1] if path[-1] != "self" else path[-2]] = target[0]
                if not public:
                    paths.append(path)
        rest = re.sub(r"pub\(in [^)]*\)", "", USE.sub("", text))
        paths += [tuple(path.split("::")) for path in PATH.findall(rest)]
        for path in paths:
            if path[0] in imported:
                path = ("crate", *imported[path[0]], *path[1:])
            target = self.resolve(module, path)
            # A module alone is no dependency: what is named through it is.
            if target and target[1] and target[1] != "*":
                named.add(self.definer(*target))
        return named - {module}

    def circles(self):
        """Tarjan's strongly connected components of more than one file."""
        graph = {module: self.named_by(module) for module in self.texts}
        index, low, stack, found = {}, {}, [], []

        def visit(module):
            index[module] = low[module] = len(index)
            stack.append(module)
            for other in graph[module]:
                if other not in index:
                    visit(other)
                if other in stack:
                    low[module] = min(low[module], low[other])
            if low[module] == index[module]:
                circle = stack[stack.index(module) :]
                del stack[stack.index(module) :]
                if len(circle) > 1:
                    found.append(sorted("/".join(module) or "lib" for module in circle))

        for module in graph:
            if module not in index:
                visit(module)
        return sorted(found, key=len)


def main(arguments):
    sys.setrecursionlimit(10_000)
    fails = False
    for argument in arguments:
        root, allowed = argument.split("=")
        circles = Crate(root).circles()
        largest = max(map(len, circles), default=0)
        print(f"{root}: the largest circle has {largest} files, {allowed} are allowed")
        if largest > int(allowed):
            fails = True
            for circle in circles:
                print("   ", " ".join(circle))
    return 1 if fails else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
