//! The command line.

mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use postrider_core::Timestamp;
use postrider_core::api_key::Scope;
use postrider_core::profile::{Profile, Profiles};
use postrider_core::role::Role;
use postrider_core::secret::SigningSecret;
use postrider_store::DatabaseUrl;

use crate::hidden::Hidden;
use values::{
    read_answer, read_concurrency, read_http_url, read_name, read_object, read_resource_id, read_role, read_scope,
    read_secret, read_time, read_user_name, read_wait,
};

/// Postrider sends webhooks: signed, retried, recorded, and never silently lost.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accept events and deliver them.
    #[command(
        after_help = "Example:\n  postrider serve --dev\n  (umask 077; openssl rand -base64 32 > /etc/postrider/master.key)   # once; keep it\n  POSTRIDER_MASTER_KEY_FILE=/etc/postrider/master.key postrider serve --listen 0.0.0.0:8080 --database sqlite:///var/lib/postrider/postrider.db"
    )]
    Serve(ServeOptions),
    /// Show the whole way of an event on this machine: publish, sign, deliver, retry, record.
    #[command(after_help = "Example:\n  postrider demo")]
    Demo,
    /// Bring the database's schema up to date, and do nothing else.
    #[command(after_help = "Example:\n  postrider migrate --database sqlite://postrider.db")]
    Migrate(StoreArgs),
    /// Copy an SQLite database into a new file, also while it is being served.
    #[command(after_help = "Example:\n  postrider backup --database sqlite://postrider.db --to backup-2026-01-19.db")]
    Backup(BackupArgs),
    /// Copy everything from SQLite into an empty PostgreSQL database, and check that it is the same.
    #[command(
        after_help = "Example:\n  postrider move --from sqlite://postrider.db --to postgres://postrider:PASSWORD@db.example.com/postrider"
    )]
    Move(MoveArgs),
    /// Seal all secrets anew with the current master key, also while the database is being served.
    #[command(
        after_help = "POSTRIDER_MASTER_KEY is the new key, POSTRIDER_MASTER_KEY_PREVIOUS the one before. Servers that run meanwhile must know both, as either: give them the new one as POSTRIDER_MASTER_KEY_PREVIOUS first.\n\nExample:\n  POSTRIDER_MASTER_KEY=$(cat new.key) POSTRIDER_MASTER_KEY_PREVIOUS=$(cat old.key) postrider rotate-master-key --database sqlite://postrider.db"
    )]
    RotateMasterKey(RotateArgs),
    /// Print the description of the API (OpenAPI 3.1).
    #[command(after_help = "Example:\n  postrider openapi > openapi.json")]
    Openapi,
    /// Explain every setting.
    #[command(after_help = "Example:\n  postrider config example > postrider.toml")]
    Config(ConfigArgs),
    /// Receive on this machine: show each delivery, and whether its signature verifies.
    #[command(
        after_help = "Example:\n  postrider listen --port 3000 --secret whsec_…\n  postrider listen --port 3000 --profile anycheck --status 500"
    )]
    Listen(ListenArgs),
    /// Say whether a kept request is genuine and, if not, why.
    #[command(
        after_help = "The request is its headers, an empty line and its body, as a proxy or a log shows it.\n\nExample:\n  postrider verify --secret whsec_… --file request.txt\n  pbpaste | postrider verify --secret whsec_… --at 2026-01-19T10:30:00Z\n\nIt ends with 0 if the request is genuine, and with 1 if not, or if that cannot be told."
    )]
    Verify(VerifyArgs),
    /// Publish an example event of any type of the catalogue, also beside a running server.
    #[command(
        after_help = "Example:\n  postrider trigger screening.completed\n  postrider trigger verification.completed --payload '{\"verification_id\": \"v-1\"}'"
    )]
    Trigger(TriggerArgs),
    /// Measure an installation: publish to it, receive from it, and say what came, how fast, and how late.
    #[command(
        after_help = "It makes an event type and a webhook of its own, and deletes them at the end; the events of 600 bytes and their log stay until retention. One that permits only HTTPS needs a receiver behind HTTPS.\n\nExample:\n  postrider bench --url http://127.0.0.1:8080 --key KEY\n  postrider bench --url https://hooks.example.com --key KEY --rate 400 --events 12000 --listen 0.0.0.0:9000 --receiver-url https://me.example.com/bench"
    )]
    Bench(BenchArgs),
    /// Make, list and revoke API keys, also beside a running server.
    #[command(
        after_help = "Example:\n  postrider keys create --name ci --scopes publish,read\n  postrider keys list --json\n  postrider keys revoke 0198c5f2-7d4e-7b3a-9d21-1b6f0a3c5e77"
    )]
    Keys(KeysArgs),
    /// Add, list and remove the people who sign in to the console, also beside a running server.
    #[command(
        after_help = "Example:\n  postrider users add --name anna --role operator-admin\n  postrider users add --name tom --role tenant-admin --tenant acme\n  postrider users list --json"
    )]
    Users(UsersArgs),
}

/// Which database, and where the settings are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StoreArgs {
    /// The database: sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", value_parser = Hidden::parse)]
    pub(crate) database: Option<Hidden>,
    /// A file of settings [default: postrider.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Where to listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// What this node does, of several on one PostgreSQL: all, api or dispatch [default: all].
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// For development: permits http:// and this machine as targets, needs no master key, and
    /// prints an API key when the database is new.
    #[arg(long)]
    pub(crate) dev: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The installation.
    #[arg(long, value_name = "URL", value_parser = read_http_url)]
    pub(crate) url: String,
    /// An API key with the scopes manage and publish.
    #[arg(long = "key", value_name = "KEY", env = "KEY", hide_env_values = true, value_parser = Hidden::parse)]
    key: Hidden,
    /// How many events.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) events: u64,
    /// Calls at once.
    #[arg(long, default_value_t = 50, value_parser = read_concurrency)]
    pub(crate) concurrency: usize,
    /// Calls a second, however long answers take, over at least 200 connections; without it, the next call begins
    /// when one is answered.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Events of one call.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) batch: u64,
    /// Where the receiver listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The receiver as the installation reaches it; the path must be /bench [default: http:// and where it listens].
    /// It speaks plain HTTP: an installation that permits only HTTPS needs a proxy in front of it.
    #[arg(long, value_name = "URL", value_parser = read_http_url)]
    pub(crate) receiver_url: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl BenchArgs {
    /// The API key; ends the program if it is none.
    pub(crate) fn key(&self) -> &str {
        let key = &self.key.0;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong_usage("--key must be one word of visible characters");
        }
        key
    }
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The new file.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The database to be read: sqlite://PATH. Nobody may serve it meanwhile.
    #[arg(long, value_name = "URL", value_parser = Hidden::parse)]
    from: Hidden,
    /// The empty database: postgres://USER:PASSWORD@HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", value_parser = Hidden::parse)]
    to: Hidden,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl MoveArgs {
    /// The database to be read and the empty one; ends the program if one is none.
    pub(crate) fn databases(&self) -> (DatabaseUrl, DatabaseUrl) {
        let read = |flag: &str, url: &Hidden| {
            DatabaseUrl::parse(&url.0).unwrap_or_else(|error| wrong_usage(&format!("{flag} {error}")))
        };
        (read("--from", &self.from), read("--to", &self.to))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a file of settings, each explained, with its default.
    #[command(after_help = "Example:\n  postrider config example > postrider.toml")]
    Example,
    /// Print the reference of settings, as docs/configuration.md has it.
    #[command(after_help = "Example:\n  postrider config reference | less")]
    Reference,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it, once.
    #[command(after_help = "Example:\n  postrider keys create --name ci --scopes publish,read --expires-in 90d")]
    Create {
        #[command(flatten)]
        of: TenantArgs,
        /// What people call it.
        #[arg(long, value_parser = read_name)]
        name: String,
        /// What it permits: read, publish, manage, payloads, admin.
        #[arg(long, value_delimiter = ',', required = true, value_parser = read_scope)]
        scopes: Vec<Scope>,
        /// When it ends, such as 12h or 90d [default: never].
        #[arg(long, value_name = "DURATION", value_parser = read_wait)]
        expires_in: Option<Duration>,
    },
    /// List keys, without the keys themselves.
    #[command(after_help = "Example:\n  postrider keys list --json")]
    List {
        #[command(flatten)]
        of: TenantArgs,
    },
    /// End a key for good.
    #[command(after_help = "Example:\n  postrider keys revoke 0198c5f2-7d4e-7b3a-9d21-1b6f0a3c5e77")]
    Revoke {
        #[command(flatten)]
        of: TenantArgs,
        /// The key's id, as `keys list` shows it.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Add a user; prints a password, once, unless one is given.
    #[command(
        after_help = "Example:\n  postrider users add --name anna --role operator-admin\n  pass show anna | postrider users add --name anna --role operator --password-stdin"
    )]
    Add {
        #[command(flatten)]
        store: StoreArgs,
        /// What they sign in with.
        #[arg(long, value_parser = read_user_name)]
        name: String,
        /// What they may do: operator-admin, operator, tenant-admin or tenant-viewer.
        #[arg(long, value_parser = read_role)]
        role: Role,
        /// The name of their tenant, for a tenant's roles [default: default].
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List users.
    #[command(after_help = "Example:\n  postrider users list --json")]
    List {
        #[command(flatten)]
        store: StoreArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set a user's password; prints it, once, unless one is given. The user is signed out everywhere.
    #[command(after_help = "Example:\n  postrider users set-password anna")]
    SetPassword {
        #[command(flatten)]
        store: StoreArgs,
        /// Whose.
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a user, who is signed in no longer.
    #[command(after_help = "Example:\n  postrider users remove anna")]
    Remove {
        #[command(flatten)]
        store: StoreArgs,
        /// Whom.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Where a password comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input, and print none.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TenantArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The tenant's name.
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to verify.
#[derive(Debug, Args)]
pub(crate) struct SecretArgs {
    /// The wire format [default: as the request's headers look].
    #[arg(long)]
    profile: Option<String>,
    /// What signs: `whsec_…`. May be repeated; those after the first are older ones.
    #[arg(long = "secret", value_name = "SECRET", value_parser = read_secret)]
    secrets: Vec<Option<SigningSecret>>,
}

impl SecretArgs {
    /// The format that was named; ends the program if there is none of that name.
    pub(crate) fn profile(&self, profiles: &Profiles) -> Option<Arc<Profile>> {
        let name = self.profile.as_ref()?;
        let known = profiles.names().collect::<Vec<_>>().join(", ");
        let wrong = || wrong_usage(&format!("--profile: there is no `{name}`; there are {known}"));
        Some(profiles.named(name).cloned().unwrap_or_else(wrong))
    }

    /// The secrets; ends the program if one is none. What was given is not shown: it may be nearly right.
    pub(crate) fn secrets(&self) -> Vec<SigningSecret> {
        let read: Option<Vec<SigningSecret>> = self.secrets.iter().cloned().collect();
        read.unwrap_or_else(|| wrong_usage("--secret must be `whsec_` and base64"))
    }
}

/// Ends the program with what was wrong.
fn wrong_usage(message: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, message).exit()
}

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// Where to listen on this machine; 0 for a free port.
    #[arg(long, default_value_t = 3000)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) of: SecretArgs,
    /// What to answer: a status such as 200 or 500, or `hang`.
    #[arg(long, default_value = "200", value_parser = read_answer)]
    pub(crate) status: Answer,
    /// Print a line of JSON for each request.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `listen` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(StatusCode),
    Hang,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{}", status.as_u16()),
            Self::Hang => f.write_str("hang"),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The request [default: standard input].
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) of: SecretArgs,
    /// When it came, such as 2026-01-19T10:30:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    pub(crate) at: Option<Timestamp>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TriggerArgs {
    #[command(flatten)]
    pub(crate) of: TenantArgs,
    /// The event type.
    #[arg(value_name = "TYPE")]
    pub(crate) event_type: String,
    /// Publish the example of the type's document; so it does without a payload, too.
    #[arg(long, conflicts_with = "payload")]
    pub(crate) example: bool,
    /// The payload: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = read_object)]
    pub(crate) payload: Option<String>,
    /// The metadata: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = read_object)]
    pub(crate) metadata: Option<String>,
    /// What it is about [default: the payload's `id`].
    #[arg(long, value_name = "ID", value_parser = read_resource_id)]
    pub(crate) resource_id: Option<String>,
}
