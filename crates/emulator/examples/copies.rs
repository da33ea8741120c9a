use emulator::*;
use std::collections::HashMap;
struct C { at: Vec<u32>, map: HashMap<(u32,u32),(u64,u64)> }
impl Observer for C { fn step(&mut self, pc: u32, r: &[u32;32]) { if self.at.contains(&pc) { let e = self.map.entry((r[1], r[12])).or_default(); e.0 += 1; e.1 += r[12] as u64; } } }
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let elf = Elf::parse(&std::fs::read(&a[1]).unwrap()).unwrap();
    let at = elf.functions.iter().filter(|(n,_)| n == &a[3]).map(|x| x.1).collect();
    let mut c = C { at, map: HashMap::new() };
    let input = std::fs::read(&a[2]).unwrap();
    Machine::new(&elf, &input).run(1<<40, &mut c);
    let mut f = elf.functions.clone(); f.sort_by_key(|x| x.1);
    let mut v: Vec<_> = c.map.into_iter().collect(); v.sort_by_key(|x| std::cmp::Reverse(x.1.1));
    let total: u64 = v.iter().map(|x| x.1.1).sum(); println!("total {total}");
    for ((ra, n), (count, bytes)) in v.iter().take(40) { let i = f.partition_point(|x| x.1 <= *ra); println!("{bytes:8} = {count} x {n} {}", &f[i-1].0.chars().take(150).collect::<String>()); }
}
