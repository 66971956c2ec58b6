//! What is remembered: documents, and the texts of persisted queries.

use super::*;

#[test]
fn a_document_over_a_limit_is_refused_each_time() {
    let documents = documents(Limits::default());
    for _ in 0..2 {
        documents
            .prepare(&nested(11), None, Variables::default())
            .unwrap_err();
    }
}

#[test]
fn a_document_is_parsed_once() {
    let documents = documents(Limits::default());
    let prepare = |text| documents.prepare(text, None, Variables::default()).unwrap();
    let (one, two, other) = (prepare("{n}"), prepare("{n}"), prepare("{n }"));
    assert!(Arc::ptr_eq(&one.document, &two.document));
    assert!(!Arc::ptr_eq(&one.document, &other.document));
}

#[test]
fn documents_that_were_not_used_longest_are_parsed_anew() {
    let reused = |limits: Limits, texts: &[&str]| {
        let documents = documents(limits);
        let prepare = |text| documents.prepare(text, None, Variables::default()).unwrap();
        let first = prepare(texts[0]);
        texts[1..].iter().for_each(|text| drop(prepare(text)));
        Arc::ptr_eq(&first.document, &prepare(texts[0]).document)
    };
    let two = Limits {
        cached: 2,
        ..Limits::default()
    };
    assert!(reused(two.clone(), &["{n}", "{ n}"]));
    assert!(!reused(two, &["{n}", "{ n}", "{n }"]));
    // Three tokens each, at what a token weighs, and the text.
    let cached_bytes = 2 * (3 * TOKEN_BYTES + 4);
    let bytes = |cached_bytes| Limits {
        cached_bytes,
        ..Limits::default()
    };
    assert!(reused(bytes(cached_bytes), &["{ n}", "{n }"]));
    assert!(!reused(bytes(cached_bytes - 1), &["{ n}", "{n }"]));
}

fn persisted(query: Option<&str>, text: &str) -> Params {
    Params {
        query: query.map(str::to_owned),
        persisted: Some(Hasher::digest(text).into()),
        ..Params::default()
    }
}

#[test]
fn a_persisted_query_is_known_once_its_text_was_sent() {
    let documents = documents(Limits::default());
    let miss = documents
        .prepare_params(persisted(None, "{n}"))
        .unwrap_err();
    assert_eq!(miss.errors[0].message, "PersistedQueryNotFound");
    assert_eq!(
        (code(&miss).as_str(), miss.status),
        ("PERSISTED_QUERY_NOT_FOUND", 200)
    );
    documents
        .prepare_params(persisted(Some("{n}"), "{n}"))
        .unwrap();
    assert_eq!(
        documents
            .prepare_params(persisted(None, "{n}"))
            .unwrap()
            .root_fields,
        1
    );
}

#[test]
fn a_hash_of_another_text_is_refused_and_not_kept() {
    let documents = documents(Limits::default());
    let said = refused(documents.prepare_params(persisted(Some("{n}"), "{n }")));
    assert!(said.starts_with("BAD_USER_INPUT"), "{said}");
    documents
        .prepare_params(persisted(None, "{n }"))
        .unwrap_err();
    documents
        .prepare_params(persisted(Some("{"), "{"))
        .unwrap_err();
    let miss = documents.prepare_params(persisted(None, "{")).unwrap_err();
    assert_eq!(code(&miss), "PERSISTED_QUERY_NOT_FOUND");
}

#[test]
fn persisted_queries_are_bounded() {
    let documents = documents(Limits {
        persisted_bytes: 6,
        ..Limits::default()
    });
    for text in ["{n}", "{a{id}}", "{ n", "{n }"] {
        let _ = documents.prepare_params(persisted(Some(text), text));
    }
    documents
        .prepare_params(persisted(None, "{n}"))
        .unwrap_err();
    documents
        .prepare_params(persisted(None, "{a{id}}"))
        .unwrap_err();
    documents.prepare_params(persisted(None, "{n }")).unwrap();
}
