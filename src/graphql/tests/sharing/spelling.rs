//! One operation in as many words as there are clients: spaces, commas, comments, names, variables, fragments, fields that
//! are said twice and fields that are not meant.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Map, Value, json};

use super::super::types::Types;
use super::operation::{Asked, Operation, When};

/// A document and what goes with it.
#[derive(Clone, Debug)]
pub(super) struct Spelled {
    pub(super) text: String,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Value,
}

/// Arguments of the root field: name, type, value.
pub(super) type Arguments = Vec<(&'static str, &'static str, Value)>;

struct Speller<'a> {
    types: &'a Types,
    rng: &'a mut StdRng,
    fragments: Vec<String>,
    declared: Vec<String>,
    values: Map<String, Value>,
    /// Names in use, each once.
    named: usize,
    /// How far it goes: 0 says what is asked for, and no more.
    freely: f64,
}

/// `freely`: how likely each liberty is.
pub(super) fn spell(
    operation: &Operation,
    arguments: &Arguments,
    types: &Types,
    freely: f64,
    rng: &mut StdRng,
) -> Spelled {
    let speller = Speller {
        types,
        rng,
        fragments: Vec::new(),
        declared: Vec::new(),
        values: Map::new(),
        named: 0,
        freely,
    };
    speller.operation(operation, arguments)
}

impl Speller<'_> {
    fn operation(mut self, operation: &Operation, arguments: &Arguments) -> Spelled {
        let ty = self.types.field("Subscription", operation.root);
        let ty = super::super::types::named(&ty.ty.node);
        let below = self.set(ty, &operation.asked);
        let arguments = self.arguments(arguments);
        let alias = self.alias(operation.alias.as_deref(), operation.root);
        let gap = self.gap();
        let mut root = format!("{alias}{}{arguments}{gap}{{{below}}}", operation.root);
        if self.may() {
            root = self.wrap("Subscription", &root);
        }
        let name = self.may().then(|| self.name("Op"));
        self.declared.shuffle(self.rng);
        let separator = self.gap();
        let declared = match &self.declared[..] {
            [] => String::new(),
            some => format!("({})", some.join(&format!(",{separator}"))),
        };
        let mut definitions = self.fragments.clone();
        definitions.push(format!(
            "subscription {}{declared} {{{root}}}",
            name.as_deref().unwrap_or_default()
        ));
        let mut operation_name = None;
        if name.is_some() && self.may() {
            definitions.push("query Another { head }".to_owned());
            operation_name = name;
        }
        definitions.shuffle(self.rng);
        Spelled {
            text: definitions.join(self.gap()),
            operation_name,
            variables: Value::Object(self.values),
        }
    }

    fn set(&mut self, ty: &str, asked: &[Asked]) -> String {
        let mut items: Vec<String> = asked.iter().map(|it| self.item(ty, it)).collect();
        if self.may() {
            // Said again further on, it is the same field, whose place is the first.
            let at = self.rng.random_range(0..asked.len());
            let again = self.item(ty, &asked[at]);
            let to = self.rng.random_range(at + 1..=items.len());
            items.insert(to, again);
        }
        if self.may() {
            let at = self.rng.random_range(0..=items.len());
            items.insert(at, "__typename @skip(if: true)".to_owned());
        }
        if self.may() {
            let from = self.rng.random_range(0..items.len());
            let to = self.rng.random_range(from + 1..=items.len());
            let inner = self.join(&items[from..to]);
            let wrapped = self.wrap(ty, &inner);
            items.splice(from..to, [wrapped]);
        }
        self.join(&items)
    }

    fn item(&mut self, ty: &str, asked: &Asked) -> String {
        match asked {
            Asked::Field {
                alias,
                name,
                of,
                below,
                when,
            } => {
                let alias = self.alias(alias.as_deref(), name);
                let when = match name.as_str() {
                    "__typename" => literal(when),
                    _ => self.when(when),
                };
                let below = match of {
                    Some(of) => format!("{{{}}}", self.set(of, below)),
                    None => String::new(),
                };
                format!("{alias}{name}{when}{below}")
            }
            Asked::On {
                ty: Some(on),
                below,
                when,
            } if self.may() => {
                let inner = self.set(on, below);
                let when = self.when(when);
                let name = self.fragment(on, &inner);
                format!("...{name}{when}")
            }
            Asked::On {
                ty: on,
                below,
                when,
            } => {
                let inner = self.set(on.as_deref().unwrap_or(ty), below);
                let when = self.when(when);
                let on = on.as_ref().map_or(String::new(), |on| format!(" on {on}"));
                format!("...{on}{when}{{{inner}}}")
            }
        }
    }

    /// A fragment that changes nothing.
    fn wrap(&mut self, ty: &str, inner: &str) -> String {
        let (skip, value) = *[(true, false), (false, true)].choose(self.rng).unwrap();
        let when = match self.may() {
            true => self.when(&[When { skip, value }]),
            false => String::new(),
        };
        match self.rng.random_range(0..3) {
            0 => format!("...{when}{{{inner}}}"),
            1 => format!("... on {ty}{when}{{{inner}}}"),
            _ => format!("...{}{when}", self.fragment(ty, inner)),
        }
    }

    fn fragment(&mut self, ty: &str, inner: &str) -> String {
        let name = self.name("F");
        let gap = self.gap();
        let definition = format!("fragment {name} on {ty}{gap}{{{inner}}}");
        self.fragments.push(definition);
        name
    }

    fn when(&mut self, when: &[When]) -> String {
        let mut when: Vec<_> = when.iter().map(|when| self.directive(*when)).collect();
        when.shuffle(self.rng);
        when.concat()
    }

    fn directive(&mut self, when: When) -> String {
        let name = if when.skip { "skip" } else { "include" };
        format!(" @{name}(if: {})", self.boolean(when.value))
    }

    fn boolean(&mut self, value: bool) -> String {
        if !self.may() {
            return value.to_string();
        }
        let name = self.name("v");
        let (declared, given) = match self.rng.random_range(0..4) {
            0 => (format!("${name}: Boolean!"), Some(value)),
            1 => (format!("${name}: Boolean! = {}", !value), Some(value)),
            2 => (format!("${name}: Boolean = {value}"), None),
            _ => (format!("${name} :Boolean={}", !value), Some(value)),
        };
        self.declared.push(declared);
        if let Some(given) = given {
            self.values.insert(name.clone(), json!(given));
        }
        format!("${name}")
    }

    fn arguments(&mut self, arguments: &Arguments) -> String {
        let mut said = Vec::new();
        for (name, ty, value) in arguments {
            if self.may() {
                let variable = self.name("x");
                self.declared.push(format!("${variable}: {ty}"));
                self.values.insert(variable.clone(), value.clone());
                said.push(format!("{name}: ${variable}"));
            } else {
                said.push(format!("{name}: {value}"));
            }
        }
        said.shuffle(self.rng);
        match &said[..] {
            [] => String::new(),
            some => format!("({})", self.join(some)),
        }
    }

    fn alias(&mut self, alias: Option<&str>, name: &str) -> String {
        match alias {
            Some(alias) => format!("{alias}{}:{}", self.gap(), self.gap()),
            None if self.rng.random_bool(0.1 * self.freely) => format!("{name}: "),
            None => String::new(),
        }
    }

    fn name(&mut self, kind: &str) -> String {
        self.named += 1;
        let n = self.rng.random_range(0..1_000);
        format!("{kind}{n}_{}", self.named)
    }

    fn join(&mut self, items: &[String]) -> String {
        let mut out = self.gap().to_owned();
        for item in items {
            out.push_str(item);
            out.push_str(match self.gap() {
                "" => " ",
                gap => gap,
            });
        }
        out
    }

    fn gap(&mut self) -> &'static str {
        if !self.may() {
            return " ";
        }
        let gaps = [
            "",
            " ",
            "\n",
            "\r\n\t",
            ",",
            " , ",
            " # a } comment {\n",
            "\u{feff}",
        ];
        gaps.choose(self.rng).copied().unwrap_or_default()
    }

    fn may(&mut self) -> bool {
        self.rng.random_bool(self.freely)
    }
}

/// async-graphql 7.2.1 finds no variables in the directives of `__typename`, and says that they are not used.
fn literal(when: &[When]) -> String {
    let name = |when: &When| if when.skip { "skip" } else { "include" };
    let when = when
        .iter()
        .map(|when| format!(" @{}(if: {})", name(when), when.value));
    when.collect()
}
