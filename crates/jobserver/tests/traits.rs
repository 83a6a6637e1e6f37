//! What the types promise to the compiler.

use jobserver::{
    Acquired, Auth, Balance, Client, ConnectError, FromEnv, FromEnvError, HelperThread, Jobs, MakeFlags, Server,
    ServerBuilder,
};

fn shareable<T: Send + Sync + 'static>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn everything_can_be_sent_and_shared_between_threads() {
    shareable::<Client>();
    shareable::<Acquired>();
    shareable::<HelperThread>();
    shareable::<FromEnv>();
    shareable::<Server>();
    shareable::<Auth>();
    shareable::<MakeFlags>();
    shareable::<Balance>();
    shareable::<Jobs>();
    shareable::<ServerBuilder>();
}

#[test]
fn errors_are_errors() {
    error::<FromEnvError>();
    error::<ConnectError>();
    error::<jobserver::ParseAuthError>();
    error::<jobserver::UnwritableAuth>();
}
