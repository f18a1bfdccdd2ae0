//! Who rides.

/// Who rides: the profile that a fare may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// No profile.
    #[default]
    Ordinary,
    /// Pupils and students.
    Student,
    /// Workers in industrial zones.
    IndustrialZoneWorker,
    /// People aged 60 and over.
    SixtyPlus,
    /// Children under six.
    UnderSix,
    /// People with merit.
    Merit,
    /// Members of poor households.
    PoorHousehold,
    /// Disabled people.
    Disabled,
}

impl Profile {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Ordinary,
        Self::Student,
        Self::IndustrialZoneWorker,
        Self::SixtyPlus,
        Self::UnderSix,
        Self::Merit,
        Self::PoorHousehold,
        Self::Disabled,
    ];

    /// Its name in configuration and tariff files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Student => "student",
            Self::IndustrialZoneWorker => "industrial_zone_worker",
            Self::SixtyPlus => "sixty_plus",
            Self::UnderSix => "under_six",
            Self::Merit => "merit",
            Self::PoorHousehold => "poor_household",
            Self::Disabled => "disabled",
        }
    }
}

pub(super) fn profile_of(code: u8) -> Option<Profile> {
    Some(match code {
        0 => Profile::Ordinary,
        1 => Profile::Student,
        2 => Profile::IndustrialZoneWorker,
        3 => Profile::SixtyPlus,
        4 => Profile::UnderSix,
        5 => Profile::Merit,
        6 => Profile::PoorHousehold,
        7 => Profile::Disabled,
        _ => return None,
    })
}
