//! Modules depend on each other in one direction, and files of a module in no circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Item, UseTree,
    visit::{self, Visit},
};

/// Top-level modules, each with those that it may use.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("plugin", &["element"]),
    ("element", &["upscaler", "backend", "engine", "model", "frame", "cuda"]),
    ("backend", &["onnxruntime", "native", "engine", "model", "cuda", "frame"]),
    ("upscaler", &["engine", "reuse", "model", "cuda", "kernels", "frame"]),
    ("onnxruntime", &["engine", "model", "cuda", "frame"]),
    ("native", &["engine", "model", "frame"]),
    ("engine", &["model", "cuda", "kernels", "frame"]),
    ("cuda", &["kernels", "frame"]),
    ("model", &["frame"]),
    ("reuse", &["frame"]),
    ("kernels", &["frame"]),
    ("frame", &[]),
];

/// A module path below the crate root, such as `["reuse", "planner"]`.
type Module = Vec<String>;

/// What one file uses of the crate, outside its unit tests.
#[derive(Default)]
struct Source {
    /// Paths from the crate root: modules, then the item.
    uses: Vec<Vec<String>>,
}

/// Collects the paths of one file.
struct Collector {
    module: Module,
    source: Source,
}

impl Collector {
    /// The path from the crate root, or `None` for a path into another crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            _ => return None,
        };
        for name in &path[1..] {
            match name.as_str() {
                "super" => drop(base.pop()),
                "self" => {}
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }

    fn flatten(tree: &UseTree, before: &[String], to: &mut Vec<Vec<String>>) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => Self::flatten(&path.tree, &with(&path.ident), to),
            UseTree::Name(name) => to.push(with(&name.ident)),
            UseTree::Rename(name) => to.push(with(&name.ident)),
            UseTree::Glob(_) => to.push(before.to_vec()),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| Self::flatten(tree, before, to));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        let is_test = attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        });
        if !is_test {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Modules within a file count as the file, but `super` leads to one less.
        if let Some((_, items)) = &item.content {
            self.module.push(item.ident.to_string());
            items.iter().for_each(|item| self.visit_item(item));
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut names = Vec::new();
        Self::flatten(&item.tree, &[], &mut names);
        for path in names {
            // `use child::Item` in a parent has no prefix: resolve it later against its children.
            let child = self.absolute(&[&["self".to_owned()], path.as_slice()].concat());
            let absolute = self.absolute(&path).or(child);
            let Some(absolute) = absolute else { continue };
            self.source.uses.push(absolute);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.source.uses.extend(self.absolute(&names));
        visit::visit_path(self, path);
    }
}

fn files(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, to);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            to.push(path);
        }
    }
}

/// Every file of the folder `root` in the checkout, by its module path.
fn sources(root: &str) -> BTreeMap<Module, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let mut sources = BTreeMap::new();
    for path in paths {
        let stem = path.with_extension("");
        let mut module: Module = stem
            .strip_prefix(&root)
            .unwrap()
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if module.last().is_some_and(|name| matches!(name.as_str(), "mod" | "lib" | "main")) {
            module.pop();
        }
        // Unit tests in a file of their own.
        if module.last().is_some_and(|name| name == "tests") {
            continue;
        }
        let syntax = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut collector = Collector { module: module.clone(), source: Source::default() };
        collector.visit_file(&syntax);
        sources.insert(module, collector.source);
    }
    sources
}

/// The deepest file that `path` leads to. A name that a parent module re-exports leads to the
/// parent.
fn file(sources: &BTreeMap<Module, Source>, path: &[String]) -> Module {
    let lengths = (0..=path.len()).rev();
    let found = lengths.map(|length| &path[..length]).find(|path| sources.contains_key(*path));
    found.unwrap_or_default().to_vec()
}

/// The files that each file uses; a parent module and its descendants do not count as users of
/// each other, since the parent declares them.
fn arrows(sources: &BTreeMap<Module, Source>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let mut arrows: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, source) in sources {
        let targets = arrows.entry(module).or_default();
        for path in &source.uses {
            let target = file(sources, path);
            let related = target.starts_with(module) || module.starts_with(&target);
            if !related && !target.is_empty() {
                targets.insert(target);
            }
        }
    }
    arrows
}

#[test]
fn modules_use_only_the_modules_below_them() {
    let sources = sources("src");
    let mut found = BTreeSet::new();
    for (module, targets) in arrows(&sources) {
        let Some(from) = module.first() else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| name == from) else {
            panic!("{from} is not in the table of modules");
        };
        for target in targets {
            if target[0] != *from && !allowed.contains(&target[0].as_str()) {
                found.insert(format!("{} uses {}", module.join("::"), target.join("::")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_table_of_modules_has_no_circle() {
    for (position, (name, uses)) in MAY_USE.iter().enumerate() {
        let below = &MAY_USE[position + 1..];
        let is_below = |used: &&str| below.iter().any(|(name, _)| name == used);
        assert!(uses.iter().all(is_below), "{name} uses a module that stands above it");
    }
}

#[test]
fn files_use_each_other_in_no_circle() {
    for root in ["src", "cli/src"] {
        let circles = circles(&sources(root));
        assert!(circles.is_empty(), "{root}: {circles:#?}");
    }
}

/// The files that use themselves through others, each with the files of the circle that it uses.
fn circles(sources: &BTreeMap<Module, Source>) -> Vec<String> {
    let arrows = arrows(sources);
    // Everything that a file reaches, directly or not.
    let reach = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in arrows.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    arrows
        .iter()
        .filter(|(module, _)| reach(module).contains(**module))
        .map(|(module, targets)| {
            let back = targets.iter().filter(|target| reach(target).contains(*module));
            let back: Vec<_> = back.map(|target| target.join("::")).collect();
            format!("{} -> {}", module.join("::"), back.join(", "))
        })
        .collect()
}

#[test]
fn the_collector_sees_uses_and_paths_but_not_unit_tests() {
    let text = "
        use crate::frame::{Image, Rect as R};
        use super::other::Thing;
        pub use self::inner::Name;
        #[cfg(test)]
        mod tests { use crate::element::Never; }
        fn f() { crate::model::open(); super::super::top::g(); }
    ";
    let module: Module = ["a", "b"].map(str::to_owned).to_vec();
    let mut collector = Collector { module, source: Source::default() };
    collector.visit_file(&syn::parse_file(text).unwrap());
    let uses: BTreeSet<String> = collector.source.uses.iter().map(|path| path.join("::")).collect();
    for expected in [
        "frame::Image",
        "frame::Rect",
        "a::other::Thing",
        "a::b::inner::Name",
        "model::open",
        "top::g",
    ] {
        assert!(uses.contains(expected), "{expected}: {uses:?}");
    }
    assert!(!uses.iter().any(|path| path.contains("Never")), "{uses:?}");
}
