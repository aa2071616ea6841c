//! Supervisors that are lost when nobody asks anything of them.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Context, Handler, Message};

use super::{Order, StreamRegistry};
use crate::domain::StreamState;
use crate::stage::{Stage, count, play};
use crate::supervisor::StreamSupervisor;
use crate::testing::{Plot, Take};

/// Who supervises a stream.
#[derive(Message)]
#[rtype(result = "Option<Addr<StreamSupervisor>>")]
struct GetSupervisor(Arc<str>);

impl Handler<GetSupervisor> for StreamRegistry {
    type Result = Option<Addr<StreamSupervisor>>;

    fn handle(&mut self, GetSupervisor(name): GetSupervisor, _: &mut Self::Context) -> Self::Result {
        self.streams.get(&name).map(|stream| stream.supervisor.clone())
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("the supervisor panics, as the test asked");
    }
}

async fn supervisor(stage: &Stage) -> Addr<StreamSupervisor> {
    stage.registry.send(GetSupervisor("cam".into())).await.unwrap().unwrap()
}

/// Has the supervisor panic; who it was.
async fn lose_supervisor(stage: &Stage) -> Addr<StreamSupervisor> {
    let lost = supervisor(stage).await;
    lost.send(Panic).await.unwrap_err();
    lost
}

async fn until_replaced(stage: &Stage, lost: &Addr<StreamSupervisor>) {
    while supervisor(stage).await == *lost {
        actix::clock::sleep(Duration::from_millis(1)).await;
    }
}

/// The state of the stream, and why.
fn state(stage: &Stage) -> (StreamState, &'static str) {
    let stream = stage.board.stream("cam").unwrap();
    (stream.state, stream.reason)
}

/// Waits until the session is closed; its stream is told to be stopped a little before.
async fn until_closed(stage: &Stage) {
    let is_closed =
        || stage.board.stream("cam").unwrap().session.is_some_and(|session| session.ended.is_some());
    stage.until(|_| is_closed()).await;
}

#[test]
fn a_file_that_came_to_its_end_is_not_analysed_again_when_its_supervisor_is_lost() {
    play((0, None), async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(3); 2]), false)).await;
        until_closed(&stage).await;
        let lost = lose_supervisor(&stage).await;
        until_replaced(&stage, &lost).await;
        assert_eq!(state(&stage), (StreamState::Stopped, "end_of_source"));
        stage.order(Order::Start).await;
        stage.until(|events| count(events, "sessionEnded") == 2).await;
        let noticed = stage.noticed();
        assert!(!noticed.iter().any(|state| state.starts_with("reconnecting")), "{noticed:?}");
    });
}

#[test]
fn a_start_that_came_after_the_end_of_a_file_outlives_the_loss_of_its_supervisor() {
    play((0, None), async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(3); 2]), false)).await;
        until_closed(&stage).await;
        lose_supervisor(&stage).await;
        stage.order(Order::Start).await;
        stage.until(|events| count(events, "sessionEnded") == 2).await;
    });
}

#[test]
fn a_stream_that_was_to_stop_when_its_supervisor_was_lost_is_told_to_be_stopped() {
    play((0, None), async |stage| {
        stage.add(stage.stream(&Plot::of(true, [Take::Silence(3)]), false)).await;
        stage.until(|events| count(events, "frameAnalyzed") > 0).await;
        let lost = lose_supervisor(&stage).await;
        stage.order(Order::Stop).await;
        until_replaced(&stage, &lost).await;
        stage.until(|_| state(&stage) == (StreamState::Stopped, "stopped")).await;
        assert!(stage.board.stream("cam").unwrap().session.unwrap().ended.is_some());
    });
}
