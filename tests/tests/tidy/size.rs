//! Sizes: what does not fit the head or the screen is too long.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::none;
use crate::source::{Source, all, rust};

/// Lines of a function, from `fn` to its closing brace: about what one screen shows.
const FUNCTION_LINES: usize = 70;

/// Lines of a source file, tests in it included.
const FILE_LINES: usize = 800;

/// Characters of a line, in every kind of text that is read by people.
const LINE_CHARACTERS: usize = 110;

/// Kinds of files whose length counts.
const CODE: [&str; 6] = ["rs", "c", "h", "sh", "run", "py"];

/// Kinds of files whose lines count.
const PROSE: [&str; 7] = ["rs", "c", "h", "sh", "run", "py", "md"];

#[test]
fn functions_fit_a_screen() {
    let mut offences = Vec::new();
    for source in rust() {
        let mut long = Long { source, offences: &mut offences };
        long.visit_file(&source.syntax());
    }
    none("function length", offences);
}

/// Collects the functions that are too long.
struct Long<'a> {
    source: &'a Source,
    offences: &'a mut Vec<String>,
}

impl Long<'_> {
    fn check(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES {
            self.offences.push(format!(
                "{}: fn {} has {lines} lines, {FUNCTION_LINES} are the limit",
                self.source.at(first),
                signature.ident
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Long<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.check(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn files_fit_the_head() {
    let long = all()
        .iter()
        .filter(|source| CODE.contains(&source.kind()))
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES);
    none(
        "file length",
        long.map(|(source, lines)| {
            format!("{}: {lines} lines, {FILE_LINES} are the limit", source.path)
        }),
    );
}

#[test]
fn lines_fit_the_screen() {
    let mut offences = Vec::new();
    for source in all().iter().filter(|source| PROSE.contains(&source.kind())) {
        for (number, line) in (1..).zip(source.text.lines()) {
            let length = line.chars().count();
            if length > LINE_CHARACTERS {
                let at = source.at(number);
                offences
                    .push(format!("{at}: {length} characters, {LINE_CHARACTERS} are the limit"));
            }
        }
    }
    none("line length", offences);
}

#[test]
fn a_long_function_is_found() {
    let body = "    let _ = 1;\n".repeat(FUNCTION_LINES);
    let text =
        format!("struct S;\nimpl S {{\n    fn long() {{\n{body}    }}\n    fn short() {{}}\n}}\n");
    let source = Source { path: "made-up.rs".into(), text };
    let mut offences = Vec::new();
    Long { source: &source, offences: &mut offences }.visit_file(&source.syntax());
    assert_eq!(offences, ["made-up.rs:3: fn long has 72 lines, 70 are the limit"]);
}
