//! Many instances, and balancers in front of them.

use crate::stage::{Stage, grounds, web};

#[tokio::test(flavor = "multi_thread")]
async fn forty_instances_come_up_and_all_serve() {
    for ground in grounds() {
        let stage = Stage::up(&web(40), &ground).await.unwrap();
        assert_eq!(stage.healthy().await.len(), 40, "{ground:?}");
        for instance in stage.healthy().await {
            assert_eq!(stage.ask(instance.address).await, "HTTP/1.1 200 OK");
        }
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_balancer_is_reached_from_outside_of_the_lab() {
    for ground in grounds() {
        let mut spec = web(1);
        spec.balancers.get_mut("web").unwrap().publish = Some("127.0.0.1:0".to_owned());
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let published = stage.lab.status().await.balancers[0].published.unwrap();
        // The test's own thread is in the network of the host.
        let text = tokio::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(published)?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok::<_, std::io::Error>(text)
        });
        assert!(text.await.unwrap().unwrap().starts_with("HTTP/1.1 200 OK"));
        stage.lab.down().await;
    }
}
