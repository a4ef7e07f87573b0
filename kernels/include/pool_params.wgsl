struct Params {
  planes: u32,
  inHeight: u32,
  inWidth: u32,
  outHeight: u32,
  outWidth: u32,
  window: i32,
  stride: i32,
  padding: i32,
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}
