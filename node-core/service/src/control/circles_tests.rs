//! Answers to questions, and refusals with their remedies.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use planetary_circles::log::Suggestion;
use planetary_ipc::CircleAccess;

use super::*;
use crate::args::RunArguments;
use crate::lifecycle;
use crate::node::Node;
use crate::state::friends::Friend;

const ADA: NodeKey = NodeKey([7; 32]);

/// A node that is down, in this folder.
fn control(folder: &Path) -> Control {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(folder.join("config.toml"), "[tun]\nname = \"none\"\n").unwrap();
    let arguments = RunArguments { state_dir: Some(folder.to_owned()), ..RunArguments::default() };
    Control::new(Arc::new(Node::new(lifecycle::start(arguments).unwrap())))
}

async fn befriend(control: &Control, key: NodeKey) {
    let add = |friends: &mut crate::state::friends::Friends| {
        Ok(friends.add(key, Friend::new("Ada".parse().unwrap(), now()))?)
    };
    control.node.change_friends(add).await.unwrap();
}

fn services_of_ada(control: &Control) -> Vec<String> {
    let (friends, _) = control.node.friends();
    friends.friends()[&ADA].services.iter().map(LocalService::to_string).collect()
}

#[tokio::test]
async fn question_about_a_knock_has_its_time_and_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(folder.path());
    befriend(&control, ADA).await;
    let answer = async |answer| {
        control.node.note_knock(&ADA, Reached::Tcp(22));
        let asked = control.node.asked();
        assert_eq!((asked.len(), asked[0].until - asked[0].asked_at), (1, 30));
        let settled = control.settle(asked[0].id, answer, None).await;
        let left = control.node.asked().len();
        (settled.map_err(|error| error.code), left)
    };
    // There is no engine, so no packet waits: only what holds from here on can be answered.
    assert_eq!(answer(Answer::Once).await, (Err(ErrorCode::QuestionNotFound), 0));
    assert_eq!(answer(Answer::Yes).await, (Err(ErrorCode::InvalidRequest), 1));
    assert_eq!(answer(Answer::Circle).await, (Err(ErrorCode::InvalidCircle), 1), "none is shared");
    assert!(services_of_ada(&control).is_empty());
    assert_eq!(answer(Answer::Always).await, (Ok(()), 0));
    assert_eq!(services_of_ada(&control), ["tcp/22"]);

    assert_eq!(answer(Answer::No).await.1, 0);
    let declined = control.node.stored_circles();
    let declined: Vec<_> =
        declined.declined().iter().map(|one| (one.key, one.service.to_string())).collect();
    assert_eq!(declined, [(ADA, "tcp/22".to_owned())]);
    let gone = control.settle(99, Answer::No, None).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::QuestionNotFound);
    assert!(!folder.path().join("circles").exists());
}

#[tokio::test]
async fn question_is_told_with_the_friends_name() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(folder.path());
    befriend(&control, ADA).await;
    control.node.note_knock(&ADA, Reached::Udp(53));
    let status = control.node.publish().await;
    let question = &status.questions[0];
    let planetary_ipc::Subject::Knock { who, circles, service } = &question.subject else {
        panic!("{question:?}")
    };
    assert_eq!(who.name.as_ref().unwrap().as_str(), "Ada");
    assert_eq!((circles.len(), service.to_string()), (0, "udp/53".to_owned()));
}

#[tokio::test]
async fn rules_ask_only_while_somebody_shows_questions() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(folder.path());
    for clients in [0, 1, 2, 0] {
        planetary_ipc::Handler::questions_are_shown(&control, clients);
        control.node.follow_clock().await;
        assert_eq!(control.node.rules_ask(), clients > 0, "{clients}");
    }
}

#[tokio::test]
async fn services_of_a_circle_are_counted_with_those_of_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(folder.path());
    let all: Vec<LocalService> =
        (1..=1_024).map(|port| format!("udp/{port}").parse().unwrap()).collect();
    control.node.change_friends(|friends| Ok(friends.open(&all, &[])?)).await.unwrap();
    let id = control.node.create_circle(&"Club".parse().unwrap()).await.unwrap();
    let allow = vec!["tcp/22".parse().unwrap()];
    let change = CircleAccessChange { allow, ..CircleAccessChange::default() };
    let error = circle_error(control.change_access(&id, &change).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::CircleLimit, "{error:?}");
    let CircleAccess { services, .. } = control.circle(&id).unwrap().circle.access;
    assert!(services.is_empty());
}

#[tokio::test]
async fn circles_belong_to_the_key_and_wait_for_its_return() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(folder.path());
    let first = control.node.identity();
    let id = control.node.create_circle(&"Club".parse().unwrap()).await.unwrap();
    let state = || control.circle(&id).unwrap().circle.state;
    let become_one = async |identity: &planetary_proto::identity::Identity| {
        let identity = Some(identity.clone());
        let wanted =
            crate::node::TakeOver { identity, replace: true, ..crate::node::TakeOver::default() };
        assert!(control.node.take_over(wanted).await.unwrap().applied);
    };
    become_one(&planetary_proto::identity::Identity::from_seed(&[9; 32])).await;
    assert_eq!(state(), CircleState::Removed);
    become_one(&first).await;
    assert_eq!(state(), CircleState::Member);
    let change = CircleChange { name: Some("Crew".parse().unwrap()), suggest: None };
    control.change_circle(&id, change).await.unwrap();
}

#[test]
fn only_ports_can_be_suggested() {
    let made = |text: &str| suggestion(&text.parse().unwrap());
    assert_eq!(made("tcp/22"), Suggestion::tcp(22, 22).ok());
    assert_eq!(made("udp/any"), Suggestion::udp(1, u16::MAX).ok());
    assert_eq!((made("ip/47"), made("tcp/22@300::1")), (None, None));
}

#[test]
fn refusals_have_their_code_and_a_remedy() {
    let still = planetary_ipc::friends::StillOpen {
        denied: "tcp/22@300::1".parse().unwrap(),
        wider: "tcp/22".parse().unwrap(),
    };
    let id = CircleId([1; 32]);
    let rule = |rule| CircleError::Act(ActError::Rule(rule));
    for (error, code) in [
        (CirclesError::Unknown(id).into(), ErrorCode::CircleNotFound),
        (CirclesError::NoInvite(7).into(), ErrorCode::InviteNotFound),
        (CirclesError::TooMany(64, "circles").into(), ErrorCode::CircleLimit),
        (CirclesError::Exists.into(), ErrorCode::InvalidCircle),
        (CirclesError::OwnLink.into(), ErrorCode::InvalidLink),
        (CirclesError::StillOpen(still).into(), ErrorCode::InvalidCircle),
        (ActError::NoCircle.into(), ErrorCode::CircleNotFound),
        (ActError::TooManyCircles.into(), ErrorCode::CircleLimit),
        (ActError::TooManyInvites.into(), ErrorCode::CircleLimit),
        (ActError::Settling.into(), ErrorCode::Busy),
        (rule(RuleError::NotAdmin), ErrorCode::CircleRights),
        (rule(RuleError::Outranked), ErrorCode::CircleRights),
        (rule(RuleError::NoMembership), ErrorCode::InvalidCircle),
        (rule(RuleError::AlreadyMember), ErrorCode::InvalidCircle),
        (rule(RuleError::TooManyMembers), ErrorCode::CircleLimit),
        (rule(RuleError::Forked), ErrorCode::CircleRights),
        (StoreError::TooLong(1).into(), ErrorCode::CircleLimit),
        (
            StoreError::System(std::io::ErrorKind::StorageFull.into()).into(),
            ErrorCode::SystemRefused,
        ),
        (ChangeError::Elsewhere("200::1".parse().unwrap()).into(), ErrorCode::InvalidCircle),
    ] {
        let told = circle_error(error);
        assert_eq!(told.code, code, "{told:?}");
        assert!(told.hint.is_some() && !told.message.ends_with('.'), "{told:?}");
    }
}
