//! What fails: with a code, and nothing of what is inside.

use super::*;

#[tokio::test]
async fn what_goes_wrong_inside_stays_inside() {
    let bench = Bench::new();
    for text in ["{ bare }", "{ missingData }"] {
        let response = bench.run(text).await.unwrap();
        assert_eq!(code(&response.errors[0]), "INTERNAL_SERVER_ERROR");
        assert_eq!(response.errors[0].message, "internal error");
        assert!(matches!(response.data, Value::Object(_)));
    }
    let rejection = bench.run("{ boom }").await.unwrap_err();
    assert_eq!(rejection.status, 500);
    assert_eq!(rejection.errors[0].message, "internal error");
    // The executor is none the worse for it.
    assert_eq!(
        bench.answer("{ thing { id } }").await.0,
        r#"{"thing":{"id":1}}"#
    );
}

#[tokio::test]
async fn an_argument_that_its_scalar_refuses_is_bad_user_input() {
    let (data, codes) = Bench::new().answer("{ small(byte: 300) }").await;
    assert_eq!(
        (data.as_str(), codes),
        (r#"{"small":null}"#, vec!["BAD_USER_INPUT".to_owned()])
    );
}

#[tokio::test]
async fn what_the_validator_refuses_has_a_code_and_no_data() {
    let bench = Bench::new();
    for text in [
        "{ nope }",
        "{ thing }",
        "{ thing { id { x } } }",
        "{ leaf { id } }",
        "{ leaf(id: \"x\") { id } }",
        "{ leaf(id: 1, x: 2) { id } }",
        "{ thing { ...F } }",
        "{ thing { id } } fragment F on Thing { id }",
        "{ thing { id @nope } }",
        "query($x: Nope) { leaf(id: $x) { id } }",
    ] {
        let rejection = bench.run(text).await.unwrap_err();
        assert_eq!(rejection.status, 400, "{text}");
        for error in &rejection.errors {
            assert_eq!(code(error), "GRAPHQL_VALIDATION_FAILED", "{text}");
            let message = &error.message;
            assert!(
                !message.contains("::") && !message.contains('<'),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn introspection_needs_no_viewer_and_all_else_does() {
    let bench = Bench::new();
    let run = |text| bench.executor.execute(bench.prepare(text), None);
    assert!(
        run("{ __typename __schema { queryType { name } } }")
            .await
            .unwrap()
            .is_ok()
    );
    assert!(run("mutation { __typename }").await.unwrap().is_ok());
    let rejection = run("{ __typename thing { id } }").await.unwrap_err();
    assert_eq!(
        (rejection.status, code(&rejection.errors[0]).as_str()),
        (401, "UNAUTHENTICATED")
    );
    let rejection = run("mutation { note(value: 1) }").await.unwrap_err();
    assert_eq!(code(&rejection.errors[0]), "UNAUTHENTICATED");
    assert!(bench.journal.lock().unwrap().is_empty());
    assert_eq!(bench.answer("{ viewer }").await.0, r#"{"viewer":"ada"}"#);
}
