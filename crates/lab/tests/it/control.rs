//! A lab that is looked at and ended from elsewhere.

use lab::control::{self, ControlError};

use crate::stage::{Stage, children, grounds, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_is_seen_and_ended_through_its_socket() {
    let mut spec = web(2);
    // A name of its own: other tests may run beside this one.
    spec.name = format!("control/{}", std::process::id());
    let stage = Stage::up(&spec, grounds().last().unwrap()).await.unwrap();
    assert!(matches!(control::status(&spec.name).await, Err(ControlError::NotUp { .. })));
    let control = control::serve(&stage.lab).await.unwrap();
    assert!(matches!(control::serve(&stage.lab).await, Err(ControlError::Up { .. })));
    let status = control::status(&spec.name).await.unwrap();
    assert_eq!((status.instances.len(), status.balancers[0].healthy), (2, 2));
    let (asked, done) = tokio::join!(control.down_requested(), control::down(&spec.name));
    assert_eq!(asked, ());
    done.unwrap();
    assert_eq!(children(), Vec::<String>::new());
    drop(control);
    assert!(matches!(control::down(&spec.name).await, Err(ControlError::NotUp { .. })));
}
