//! What introspection may ask for.

use super::*;

/// Levels and number of fields once fragments are spread out.
fn size(document: &ExecutableDocument, set: &SelectionSet) -> (usize, usize) {
    let sizes = set.items.iter().map(|item| match &item.node {
        Selection::Field(field) => {
            let (levels, fields) = size(document, &field.node.selection_set.node);
            (levels + 1, fields + 1)
        }
        Selection::InlineFragment(inline) => size(document, &inline.node.selection_set.node),
        Selection::FragmentSpread(spread) => {
            let fragment = &document.fragments[&spread.node.fragment_name.node];
            size(document, &fragment.node.selection_set.node)
        }
    });
    sizes.fold((0, 0), |(levels, fields), (below, more)| {
        (levels.max(below), fields + more)
    })
}

#[test]
fn introspection_larger_than_any_tools_passes_and_needs_no_token() {
    let prepared = prepare(INTROSPECTION).unwrap();
    assert!(prepared.introspection);
    let operation = prepared.operation().unwrap();
    let (levels, fields) = size(&prepared.document, &operation.selection_set.node);
    // What GraphiQL and code generators send is 15 deep and has 230.
    assert!(
        levels >= 15 && fields >= 230,
        "{levels} levels, {fields} fields"
    );
    let fragment = "query { __schema { types { ...D } } } fragment D on __Type ".to_owned();
    prepare(&(fragment + &"{ ofType".repeat(12) + "{ name }" + &"}".repeat(12))).unwrap();
}

#[test]
fn introspection_that_multiplies_lists_is_refused() {
    let lists = |levels: usize| {
        let open = "fields { type { ".repeat(levels);
        format!(
            "{{ __type(name: \"Query\") {{ {open} name {} }} }}",
            "} }".repeat(levels)
        )
    };
    prepare(&lists(2)).unwrap();
    refused_for(&lists(3), "lists of introspection");
}

#[test]
fn introspection_of_everything_passes_once_and_what_multiplies_it_is_refused() {
    let about = |name: &str| format!("{{ __schema {{ types {{ {name} }} }} }}");
    prepare(INTROSPECTION).unwrap();
    // What 15 aliases could multiply: the schema, its types, their fields; in fragments too.
    let aliased = |count: usize, what: &str| {
        let aliases = (0..count).map(|n| format!("a{n}: {what} "));
        aliases.collect::<String>()
    };
    let of_field =
        "args { name type { name kind ofType { name kind ofType { name } } } } type { name kind }";
    let field = format!("fields {{ {of_field} }}");
    prepare(&about(&field)).unwrap();
    refused_for(&about(&aliased(15, &field)), "values to introspect");
    let types = format!("types {{ {field} }}");
    let in_schema = format!("{{ __schema {{ {} }} }}", aliased(15, &types));
    refused_for(&in_schema, "values to introspect");
    let schemas = format!("{{ {} }}", aliased(15, &format!("__schema {{ {types} }}")));
    refused_for(&schemas, "values to introspect");
    let fragment = format!(
        "{{ ...F }} fragment F on Query {{ {} }}",
        aliased(15, &format!("__schema {{ {types} }}"))
    );
    refused_for(&fragment, "values to introspect");
    // One type is cheap, however often.
    let one = format!("__type(name: \"Query\") {{ {field} }}");
    prepare(&format!("{{ {} }}", aliased(15, &one))).unwrap();
}

#[test]
fn only_pure_introspection_needs_no_token() {
    let introspection = |text| prepare(text).unwrap().introspection;
    assert!(introspection("{ __typename }"));
    assert!(introspection("mutation { __typename }"));
    assert!(introspection(
        "{ ...F } fragment F on Query { __typename __schema { types { name } } }"
    ));
    assert!(!introspection("{ __typename n }"));
    assert!(!introspection("{ ...F } fragment F on Query { n }"));
    assert!(!introspection(
        "{ __typename ...F } fragment F on Node { id }"
    ));
}
