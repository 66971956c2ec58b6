//! Operations at random: what is asked for, by a walk of the schema.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value};

use super::super::types::{Types, named};

/// What a subscription asks for. Two of them are spelled alike by chance only.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// `events` or `messageSent`.
    pub(super) root: &'static str,
    pub(super) alias: Option<String>,
    pub(super) asked: Vec<Asked>,
}

/// A field or a fragment, and under which conditions.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Field {
        alias: Option<String>,
        name: String,
        /// Its type, where that has fields.
        of: Option<String>,
        below: Vec<Self>,
        when: Vec<When>,
    },
    On {
        ty: Option<String>,
        below: Vec<Self>,
        when: Vec<When>,
    },
}

/// `@skip` or `@include` with a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) skip: bool,
    pub(super) value: bool,
}

impl Asked {
    /// Whether its conditions leave it in.
    fn is_in(&self) -> bool {
        let (Self::Field { when, .. } | Self::On { when, .. }) = self;
        when.iter().all(|when| when.skip != when.value)
    }
}

impl Operation {
    pub(super) fn generate(types: &Types, rng: &mut StdRng) -> Self {
        let mut walk = Walk {
            types,
            rng,
            left: 40,
        };
        let root = if walk.rng.random_bool(0.75) {
            "events"
        } else {
            "messageSent"
        };
        let alias = walk.rng.random_bool(0.2).then(|| "root".to_owned());
        let ty = named(&types.field("Subscription", root).ty.node);
        let asked = walk.below(ty, 1);
        Self { root, alias, asked }
    }

    /// Almost the same: where the two were taken for one, somebody would get the other's payloads.
    pub(super) fn changed(&self, types: &Types, rng: &mut StdRng) -> Self {
        let mut other = self.clone();
        match rng.random_range(0..20) {
            0 => other.alias = Some("other".to_owned()),
            _ => change(types, &mut other.asked, rng),
        }
        other
    }

    pub(super) fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(self.root)
    }

    /// Whether its payloads show what the store has now, or who asks: a field of the kind that is read on demand.
    pub(super) fn reads(&self) -> bool {
        fn reads(asked: &[Asked], in_reply: bool) -> bool {
            asked.iter().filter(|it| it.is_in()).any(|it| match it {
                Asked::Field { name, below, .. } => {
                    let is_read = matches!(
                        name.as_str(),
                        "lastMessage"
                            | "viewerRole"
                            | "viewerReacted"
                            | "viewerReadUpTo"
                            | "unreadCount"
                            | "readUpTo"
                            | "presence"
                    ) || name == "replyTo" && in_reply;
                    is_read || reads(below, in_reply || name == "replyTo")
                }
                Asked::On { below, .. } => reads(below, in_reply),
            })
        }
        reads(&self.asked, false)
    }

    /// What an answer's data must be made of, by the specification: the fields asked for of each object, in order, each once.
    pub(super) fn check(&self, types: &Types, data: &Value, ty: &str) -> Result<(), String> {
        let fields = data.as_object().ok_or("data is no object")?;
        let keys: Vec<_> = fields.keys().map(String::as_str).collect();
        if keys != [self.key()] {
            return Err(format!("root fields {keys:?}"));
        }
        check(types, &fields[self.key()], ty, &[&self.asked])
    }
}

fn change(types: &Types, asked: &mut Vec<Asked>, rng: &mut StdRng) {
    let (at, len) = (rng.random_range(0..asked.len()), asked.len());
    let (Asked::Field { below, .. } | Asked::On { below, .. }) = &mut asked[at];
    if !below.is_empty() && rng.random_bool(0.6) {
        return change(types, below, rng);
    }
    match (rng.random_range(0..4), &mut asked[at]) {
        (0, _) if len > 1 => drop(asked.remove(at)),
        (1, _) if len > 1 => asked.swap(at, (at + 1) % len),
        (
            0..3,
            Asked::On {
                ty: Some(ty),
                below,
                ..
            },
        ) => {
            let siblings = siblings(types, ty, below);
            *ty = siblings.choose(rng).unwrap_or(ty).clone();
        }
        (2, Asked::Field { alias, name, .. }) => *alias = Some(format!("other_{name}")),
        (_, Asked::Field { when, .. } | Asked::On { when, .. }) => match when.first_mut() {
            Some(when) => when.value = !when.value,
            None => when.push(When {
                skip: true,
                value: true,
            }),
        },
    }
}

/// Other events' types of which the same can be asked.
fn siblings(types: &Types, ty: &str, below: &[Asked]) -> Vec<String> {
    let events = &types.behind["Event"];
    let names = below.iter().map(|it| match it {
        Asked::Field { name, .. } => Some(name),
        Asked::On { .. } => None,
    });
    let names: Option<Vec<_>> = names.collect();
    let Some(names) = names.filter(|_| events.iter().any(|it| it == ty)) else {
        return Vec::new();
    };
    let has = |event: &String, name: &String| {
        let mut fields = types.fields[event].iter();
        name == "__typename" || fields.any(|field| field.name.node == *name)
    };
    let others = events.iter().filter(|event| *event != ty);
    let others = others.filter(|event| names.iter().all(|name| has(event, name)));
    others.cloned().collect()
}

fn check(types: &Types, value: &Value, ty: &str, asked: &[&[Asked]]) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("{ty}: {value}"))?;
    let mut groups = Vec::new();
    for asked in asked {
        collect(types, asked, ty, &mut groups);
    }
    let keys: Vec<_> = object.keys().map(String::as_str).collect();
    let expected: Vec<_> = groups.iter().map(|group| group.key).collect();
    if keys != expected {
        return Err(format!("{ty}: {keys:?} where {expected:?} was asked for"));
    }
    for group in groups {
        check_field(types, object, ty, &group).map_err(|why| format!("{}.{why}", group.key))?;
    }
    Ok(())
}

fn check_field(
    types: &Types,
    object: &Map<String, Value>,
    ty: &str,
    group: &Group<'_>,
) -> Result<(), String> {
    let value = &object[group.key];
    if group.name == "__typename" {
        return (value == ty)
            .then_some(())
            .ok_or(format!("{value} of {ty}"));
    }
    let known = &types.field(ty, group.name).ty.node;
    match value {
        Value::Null if known.nullable => Ok(()),
        Value::Null => Err("null".to_owned()),
        // Under a subscription nothing but the root is an interface, and a list is of objects.
        Value::Array(items) if types.is_composite(named(known)) => items
            .iter()
            .try_for_each(|item| check(types, item, named(known), &group.below)),
        value if types.is_composite(named(known)) => {
            check(types, value, named(known), &group.below)
        }
        _ => Ok(()),
    }
}

struct Group<'a> {
    key: &'a str,
    name: &'a str,
    below: Vec<&'a [Asked]>,
}

fn collect<'a>(types: &Types, asked: &'a [Asked], object: &str, groups: &mut Vec<Group<'a>>) {
    for it in asked.iter().filter(|it| it.is_in()) {
        match it {
            Asked::On { ty, below, .. } => {
                if ty.as_ref().is_none_or(|ty| types.applies(ty, object)) {
                    collect(types, below, object, groups);
                }
            }
            Asked::Field {
                alias, name, below, ..
            } => {
                let key = alias.as_ref().unwrap_or(name);
                match groups.iter_mut().find(|group| group.key == key) {
                    Some(group) => group.below.push(below),
                    None => groups.push(Group {
                        key,
                        name,
                        below: vec![below],
                    }),
                }
            }
        }
    }
}

struct Walk<'a> {
    types: &'a Types,
    rng: &'a mut StdRng,
    /// Fields and fragments still to be asked for, more or less.
    left: usize,
}

impl Walk<'_> {
    /// The guard lets ten levels of fields through.
    const LEVELS: usize = 9;

    fn below(&mut self, ty: &str, level: usize) -> Vec<Asked> {
        let most = match level {
            1 => 6,
            2..5 => 4,
            _ => 2,
        };
        let count = self.rng.random_range(1..=most);
        (0..count).map(|_| self.one(ty, level)).collect()
    }

    fn one(&mut self, ty: &str, level: usize) -> Asked {
        self.left = self.left.saturating_sub(1);
        let fragments = if self.types.behind.contains_key(ty) {
            0.6
        } else {
            0.15
        };
        let when = self.when();
        if self.left > 0 && self.rng.random_bool(fragments) {
            let ty_of = self.condition(ty);
            let below = self.below(ty_of.as_deref().unwrap_or(ty), level);
            return Asked::On {
                ty: ty_of,
                below,
                when,
            };
        }
        let (name, of) = self.field(ty, level);
        let below = match &of {
            Some(of) => self.below(of, level + 1),
            None => Vec::new(),
        };
        let alias = self.alias(ty, &name);
        Asked::Field {
            alias,
            name,
            of,
            below,
            when,
        }
    }

    /// A field, and its type where that has fields. Connections and lists of users cannot be followed.
    fn field(&mut self, ty: &str, level: usize) -> (String, Option<String>) {
        let deeper = level < Self::LEVELS && self.left > 0;
        let mut known: Vec<_> = self.types.fields[ty]
            .iter()
            .map(|field| (field.name.node.to_string(), named(&field.ty.node)))
            .filter(|(name, of)| !of.ends_with("Connection") && name != "users")
            .map(|(name, of)| (name, self.types.is_composite(of).then(|| of.to_owned())))
            .filter(|(_, of)| deeper || of.is_none())
            .collect();
        known.push(("__typename".to_owned(), None));
        known.choose(self.rng).cloned().unwrap()
    }

    /// Most tell their field, so that they do not clash; a few are the name of another.
    fn alias(&mut self, ty: &str, name: &str) -> Option<String> {
        match self.rng.random_range(0..100) {
            0..80 => None,
            80..97 => Some(format!("{name}_{}", self.rng.random_range(0..2))),
            _ => {
                let other = self.types.fields[ty].choose(self.rng).unwrap();
                Some(other.name.node.to_string())
            }
        }
    }

    /// What a fragment may be on where this type stands.
    fn condition(&mut self, ty: &str) -> Option<String> {
        let behind = &self.types.behind;
        let objects = match behind.get(ty) {
            Some(objects) => objects.clone(),
            None => vec![ty.to_owned()],
        };
        let overlaps = |(_, behind): &(&String, &Vec<String>)| {
            behind.iter().any(|object| objects.contains(object))
        };
        let mut interfaces: Vec<_> = behind.iter().filter(overlaps).map(|it| it.0).collect();
        interfaces.sort();
        let interface = interfaces.choose(self.rng).map(|it| (*it).clone());
        match self.rng.random_range(0..10) {
            0 => None,
            1 => Some(ty.to_owned()),
            2..5 => interface.or_else(|| Some(ty.to_owned())),
            _ => objects.choose(self.rng).cloned(),
        }
    }

    fn when(&mut self) -> Vec<When> {
        let mut when = Vec::new();
        for skip in [false, true] {
            if self.rng.random_bool(0.08) {
                let value = skip != self.rng.random_bool(0.7);
                when.push(When { skip, value });
            }
        }
        when
    }
}
