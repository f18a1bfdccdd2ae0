//! Calendar-month passes: which may be sold when, for how much, and where it goes on the card (pure).
//!
//! A month is the service days that begin in it: at 02:00 on 1 December, with a cut at 04:00, it is still November.

use crate::card::{Issuer, PRODUCTS, Product, ProductKind, Profile};
use crate::money::Amount;
use crate::tariff::Pass;
use crate::time::{Month, ServiceDay};

/// A sale that is allowed, before anything is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassSale {
    /// What the rider pays.
    pub price: Amount,
    /// The pass.
    pub product: Product,
    /// Its place in the issuer file, from 0.
    pub place: usize,
    /// The issuer file after the sale.
    pub issuer: Issuer,
}

/// Why a pass is not sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassRefusal {
    /// The tariff has no price of this pass for this profile.
    #[error("the tariff has no price of this pass for the profile {0:?}")]
    NotForProfile(Profile),
    /// The month is over.
    #[error("{0} is over")]
    Over(Month),
    /// The month is not on sale yet.
    #[error("the pass of {month} is on sale from {from}")]
    NotOnSaleYet {
        /// The month.
        month: Month,
        /// The first service day of its sale.
        from: ServiceDay,
    },
    /// The card has a pass that covers the same rides on some of the same days.
    #[error("the card already has a pass for these rides from {} to {}", .0.valid_from, .0.valid_until)]
    Overlap(Product),
    /// Every place of the issuer file has a pass that is not over.
    #[error("the card has no room: {PRODUCTS} passes that are not over")]
    NoRoom,
}

/// Whether `pass` may be sold for `month` to the holder of `issuer` on the service day `today`, and what it would cost
/// and change. The same sale on another day of its time gives the same product, so that a torn one can be repeated.
///
/// # Errors
/// [`PassRefusal`].
pub fn sell(pass: &Pass, issuer: &Issuer, month: Month, today: ServiceDay) -> Result<PassSale, PassRefusal> {
    let price = price(pass, issuer, today)?;
    if month.last_day() < today {
        return Err(PassRefusal::Over(month));
    }
    if month.first_day() > today {
        let from = month.previous().day(pass.next_month_from_day);
        if today < from {
            return Err(PassRefusal::NotOnSaleYet { month, from });
        }
    }
    let product =
        Product { kind: pass.kind, line: pass.line, valid_from: month.first_day(), valid_until: month.last_day() };
    if let Some(other) = issuer.products.iter().find(|other| makes_needless(other, &product)) {
        return Err(PassRefusal::Overlap(*other));
    }
    let place = place_for(issuer, today).ok_or(PassRefusal::NoRoom)?;
    let mut products = issuer.products;
    products[place] = product;
    Ok(PassSale { price, product, place, issuer: Issuer { products, ..*issuer } })
}

/// The months that `pass` may be sold for on `today`: this one, and the next from its day on.
pub fn on_sale(pass: &Pass, today: ServiceDay) -> Vec<Month> {
    let this = Month::of(today);
    let mut months = vec![this];
    if today >= this.day(pass.next_month_from_day) {
        months.push(this.next());
    }
    months
}

fn price(pass: &Pass, issuer: &Issuer, today: ServiceDay) -> Result<Amount, PassRefusal> {
    let profile = if today <= issuer.profile_valid_until { issuer.profile } else { Profile::Ordinary };
    let price = pass.prices.get(&profile).or_else(|| pass.prices.get(&Profile::Ordinary));
    price.copied().ok_or(PassRefusal::NotForProfile(profile))
}

/// Whether `there` covers every ride that `new` would cover, on some of the same days.
fn makes_needless(there: &Product, new: &Product) -> bool {
    let covers = match (there.kind, new.kind) {
        (ProductKind::None, _) | (_, ProductKind::None) => false,
        (ProductKind::AllRoutePass, _) => true,
        (ProductKind::OneRoutePass, ProductKind::OneRoutePass) => there.line == new.line,
        (ProductKind::OneRoutePass, ProductKind::AllRoutePass) => false,
    };
    covers && there.valid_from <= new.valid_until && new.valid_from <= there.valid_until
}

/// A free place, or that of the pass that ended longest ago; never that of one which still counts or will.
fn place_for(issuer: &Issuer, today: ServiceDay) -> Option<usize> {
    let places = || issuer.products.iter().enumerate();
    let free = places().find(|(_, product)| product.kind == ProductKind::None);
    let over = places().filter(|(_, product)| product.valid_until < today);
    free.or_else(|| over.min_by_key(|(_, product)| product.valid_until)).map(|(place, _)| place)
}
