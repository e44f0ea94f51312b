//! Rows of `profiles`: every version of a wire format that was ever used.

use std::sync::Arc;

use postrider_core::profile::Profile;

use super::{Dialect, Query, Row, Sql};
use crate::Purpose;
use crate::error::{Result, StoreError};
use crate::shares::Who;

impl<DB: Dialect> Sql<DB> {
    /// Writes down the formats of this process, so that deliveries made with them can be finished by
    /// others; a process that serves also says that they are in use now.
    pub(crate) async fn register_profiles(&self, purpose: Purpose) -> Result<()> {
        let known =
            Query::<DB>::new("select version from profiles").rows(&mut *self.reader(Who::Background).await?).await?;
        let known = known.iter().map(|row| row.get(0)).collect::<Result<Vec<i64>>>()?;
        let is_news = |profile: &&Arc<Profile>| purpose == Purpose::Serve || !known.contains(&profile.version());
        let news: Vec<&Arc<Profile>> = self.profiles.own().iter().filter(is_news).collect();
        if news.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for profile in news {
            Query::<DB>::new(
                "insert into profiles (version, name, source, used_at) values ($1, $2, $3, $4)
                 on conflict (version) do update set used_at = excluded.used_at",
            )
            .bind(profile.version())
            .bind(profile.name.clone())
            .bind(profile.source.clone())
            .time(self.world.now())
            .run(&mut tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The format of that version, whoever wrote it down.
    pub(super) async fn profile_version(&self, version: i64) -> Result<Option<Arc<Profile>>> {
        if let Some(known) = self.profiles.version(version) {
            return Ok(Some(known));
        }
        let query = Query::<DB>::new("select source from profiles where version = $1");
        let row = query.bind(version).row(&mut self.lookup().await?).await?;
        row.map(|row| self.keep_profile(&row)).transpose()
    }

    /// The format of that name: this process's own, or else the last that any process used.
    pub(super) async fn profile_of_name(&self, name: &str) -> Result<Option<Arc<Profile>>> {
        if let Some(own) = self.profiles.own().named(name) {
            return Ok(Some(Arc::clone(own)));
        }
        let query = Query::<DB>::new("select source from profiles where name = $1 order by used_at desc limit 1");
        let row = query.bind(name.to_owned()).row(&mut self.lookup().await?).await?;
        row.map(|row| self.keep_profile(&row)).transpose()
    }

    fn keep_profile(&self, row: &Row<DB>) -> Result<Arc<Profile>> {
        let profile = Profile::parse(&row.get::<String>(0)?).map_err(|_| StoreError::Damaged("a profile"))?;
        let profile = Arc::new(profile);
        self.profiles.add(Arc::clone(&profile));
        Ok(profile)
    }
}
