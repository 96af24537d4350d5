/// Where the PC's interrupt wires go: ISA IRQs to both the 8259 pair and the I/O APIC, wires 16 to
/// 23 to the I/O APIC alone.
///
/// IRQ 0 is pin 2 of the I/O APIC, as the interrupt source override of the MADT tells the guest;
/// IRQ 2 is the cascade of the 8259 pair and has no wire.
public final class ISAInterrupts: InterruptSink {
  private enum Controllers {
    case own(I8259Pair, IOAPIC)
    case kernel(KVMInterruptControllers)
  }
  private let controllers: Controllers

  public init(pair: I8259Pair, ioapic: IOAPIC) { controllers = .own(pair, ioapic) }

  /// The wires end at KVM's controllers.
  public init(_ controllers: KVMInterruptControllers) { self.controllers = .kernel(controllers) }

  public func setLine(_ number: Int, asserted: Bool) {
    guard number != 2 else { return }
    guard case .own(let pair, let ioapic) = controllers else {
      if case .kernel(let all) = controllers { all.setLine(number, asserted: asserted) }
      return
    }
    if number < 16 { pair.setLine(number, asserted: asserted) }
    ioapic.setLine(number == 0 ? 2 : number, asserted: asserted)
  }

  /// Wire `number`: an ISA IRQ (0 to 15) or a pin of the I/O APIC (16 to 23).
  public func line(_ number: Int) -> InterruptLine { InterruptLine(sink: self, number: number) }
}
