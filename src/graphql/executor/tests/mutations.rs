//! Mutations: in order, once, and no more than are allowed.

use super::*;

#[tokio::test]
async fn a_mutation_over_the_allowance_is_refused_whole() {
    let bench = Bench::with(Allowance::new(1, 3));
    bench
        .run("mutation { a: note(value: 1) b: note(value: 2) }")
        .await
        .unwrap();
    let rejection = bench
        .run("mutation { a: note(value: 3) b: note(value: 4) }")
        .await
        .unwrap_err();
    assert_eq!(
        (rejection.status, code(&rejection.errors[0]).as_str()),
        (429, "RATE_LIMITED")
    );
    let extensions = rejection.errors[0].extensions.as_ref().unwrap();
    assert!(extensions.get("retryAfterMs").is_some() && rejection.retry_after_ms.is_some());
    assert_eq!(*bench.journal.lock().unwrap(), [1, 2]);
    let never =
        "mutation { a: note(value: 3) b: note(value: 4) c: note(value: 4) d: note(value: 4) }";
    let rejection = bench.run(never).await.unwrap_err();
    assert_eq!(code(&rejection.errors[0]), "BAD_USER_INPUT");
    bench.run("{ thing { id } }").await.unwrap();
}

#[tokio::test]
async fn mutations_start_in_the_order_in_which_they_are_polled() {
    let bench = Bench::with(Allowance::new(0, 0));
    let mut running = Vec::new();
    for value in 0..20 {
        let prepared = bench.prepare(&format!("mutation {{ note(value: {value}) }}"));
        let mut execution = Box::pin(bench.executor.execute(prepared, Some(viewer())));
        assert!(futures_util::poll!(&mut execution).is_pending());
        running.push(execution);
    }
    assert_eq!(*bench.journal.lock().unwrap(), (0..20).collect::<Vec<_>>());
    for execution in running {
        execution.await.unwrap();
    }
}

#[tokio::test]
async fn a_field_written_twice_is_run_once() {
    let bench = Bench::new();
    let text = "mutation { note(value: 1) ...M } fragment M on Mutation { note(value: 1) }";
    assert_eq!(bench.answer(text).await.0, r#"{"note":1}"#);
    assert_eq!(*bench.journal.lock().unwrap(), [1]);
}
