import Synchronization

/// The mode that control registers, flags and CS make, and what follows from it.
extension CPU {
  /// Recomputes what depends on CR0, EFER, RFLAGS.VM and AC, CS, SS and the privilege.
  func modeChanged() {
    let s = self.s
    s.pointee.isProtected = s.pointee.cr0 & Bits.pe != 0
    s.pointee.isLongMode = s.pointee.efer & Bits.lma != 0
    s.pointee.isV86 = s.pointee.isProtected && s.pointee.eflags & RFlag.virtual8086 != 0
    let cs = segment(.cs)
    s.pointee.is64 = s.pointee.isLongMode && cs.pointee.isLong
    if s.pointee.is64 {
      s.pointee.codeSize = 3
      s.pointee.linearMask = .max
      s.pointee.stackMask = .max
    } else {
      s.pointee.codeSize = cs.pointee.isBig ? 2 : 1
      s.pointee.linearMask = 0xFFFF_FFFF
      s.pointee.stackMask = segment(.ss).pointee.isBig ? 0xFFFF_FFFF : 0xFFFF
    }
    s.pointee.ripMask = UInt64.max &>> (s.pointee.is64 ? 0 : (cs.pointee.isBig ? 32 : 48))
    s.pointee.flatness = s.pointee.is64 ? 0 : Flatness.stack(mask: s.pointee.stackMask)
    for number in UInt8(0)..<6 { updateSegment(Seg.offset(number)) }
    updateTLBSet()
    if s.pointee.hasUserEngine { chooseUserEngine() }
    updateStamp()
  }

  /// Chooses the TLB set by the privilege and, where SMAP or alignment checks count, by RFLAGS.AC.
  func updateTLBSet() {
    let checked = s.pointee.cr0 & Bits.am != 0 && s.pointee.eflags & RFlag.alignment != 0
    s.pointee.checksAlignment = checked && s.pointee.cpl == 3
    let set: Int
    if s.pointee.cpl == 3 {
      set = 1
    } else {
      let overrides = s.pointee.eflags & RFlag.alignment != 0
      set = s.pointee.cr4 & Bits.smap != 0 && overrides ? 2 : 0
    }
    s.pointee.tlb =
      s.pointee.checksAlignment
      ? raw + Layout.emptySet : raw + Layout.tlb + set * Layout.tlbEntries * 32
  }

  /// Whether the user engine runs the code of the mode: 64-bit user code, without what KVM does not
  /// enforce in ring 3 (CR0.TS and EM), breakpoints, or the right to change IF.
  private func chooseUserEngine() {
    let isUser =
      s.pointee.is64 && s.pointee.cpl == 3 && s.pointee.cr0 & (Bits.ts | Bits.em) == 0
      && s.pointee.dr7 & 0xFF == 0 && s.pointee.eflags & RFlag.privilege != RFlag.privilege
    if isUser {
      // Its mode may change without an end: nothing begins then.
      if s.pointee.slow & Slow.user != 0 || s.pointee.userShare.isUnderWay { return }
      if !s.pointee.userShare.begin() {
        s.pointee.slow |= Slow.user
        return
      }
    } else {
      s.pointee.slow &= ~Slow.user
      s.pointee.userShare.end(needsEngine: false)
    }
    if s.pointee.cpl == 3 { forgetUserCode() }
  }

  /// Before user code is decoded here: what native user code of any processor may have written to
  /// since counts no more.
  private func forgetUserCode() {
    guard let engine = environment.userEngine else { return }
    let runs = engine.machine.userRuns.load(ordering: .sequentiallyConsistent)
    guard runs != s.pointee.seenUserRuns else { return }
    s.pointee.seenUserRuns = runs
    if s.pointee.decodesUserPages { newGeneration() }
  }

  /// Ends a trial of user code, which goes on in the user engine with the instruction at RIP.
  func leaveToUserEngine() {
    s.pointee.userShare.end(needsEngine: true)
    s.pointee.slow |= Slow.user
  }

  func updateStamp() {
    var mode = UInt64(s.pointee.codeSize)
    if s.pointee.isProtected && !s.pointee.isV86 { mode |= 4 }
    if s.pointee.cpl == 3 { mode |= 8 }
    s.pointee.stamp = s.pointee.generation << 8 | mode
    updateWorld()
  }

  /// Finds the number of the world of the moment, or gives it a new one.
  private func updateWorld() {
    var base: UInt64 = 0
    var limit: UInt64 = 0
    if !s.pointee.is64 {
      base = segment(.cs).pointee.base
      limit = UInt64(segment(.cs).pointee.limit)
    }
    let worlds = (raw + Layout.worlds).assumingMemoryBound(to: World.self)
    for index in 0..<Layout.worldEntries {
      let known = worlds + index
      if known.pointee.stamp == s.pointee.stamp, known.pointee.base == base,
        known.pointee.limit == limit, known.pointee.number != 0
      {
        s.pointee.world = known.pointee.number
        return
      }
    }
    s.pointee.worldCount &+= 1
    s.pointee.world = s.pointee.worldCount
    worlds[Int(truncatingIfNeeded: s.pointee.worldCount) & (Layout.worldEntries - 1)] = World(
      stamp: s.pointee.stamp, base: base, limit: limit, number: s.pointee.world)
  }

  /// The bits of the mode that decoding depends on.
  var decodeMode: UInt64 { s.pointee.stamp & 7 }

  /// Makes what accesses use of a segment fit the mode.
  func updateSegment(_ offset: UInt16) {
    let seg = segment(offset)
    s.pointee.flatness &= ~Flatness.segment(offset)
    if s.pointee.is64 {
      let hasBase = offset == Seg.fs.rawValue || offset == Seg.gs.rawValue
      seg.pointee.base = hasBase ? seg.pointee.hiddenBase : 0
      seg.pointee.readLimit = .max
      seg.pointee.writeLimit = .max
      return
    }
    seg.pointee.base = seg.pointee.hiddenBase & 0xFFFF_FFFF
    let limit = Int64(seg.pointee.limit)
    guard s.pointee.isProtected, !s.pointee.isV86 else {
      seg.pointee.readLimit = limit
      seg.pointee.writeLimit = limit
      return
    }
    let usable =
      seg.pointee.present && seg.pointee.isCodeOrData && !seg.pointee.expandsDown
    seg.pointee.readLimit = usable && seg.pointee.isReadable ? limit : -1
    seg.pointee.writeLimit = usable && seg.pointee.isWritable ? limit : -1
    if seg.pointee.base == 0, seg.pointee.readLimit & seg.pointee.writeLimit == 0xFFFF_FFFF {
      s.pointee.flatness |= Flatness.segment(offset)
    }
  }

  /// Loads a segment register as real and virtual-8086 mode do.
  func loadRealSegment(_ offset: UInt16, _ selector: UInt16) {
    let seg = segment(offset)
    seg.pointee.selector = selector
    seg.pointee.hiddenBase = UInt64(selector) << 4
    if s.pointee.isV86 {
      seg.pointee.limit = 0xFFFF
      seg.pointee.rights = 0xF3
    } else if offset == Seg.cs.rawValue {
      seg.pointee.rights = 0x93 | (seg.pointee.rights & 0x4000)
    }
    updateSegment(offset)
    if offset == Seg.ss.rawValue || offset == Seg.cs.rawValue { modeChanged() }
  }

  /// CR0, with what it brings: mode, long mode, translations. Reserved combinations are refused.
  func setCR0(_ value: UInt64) -> Int {
    let new = value & 0xE005_003F | 0x10
    if new & Bits.pg != 0 && new & Bits.pe == 0 { return protectionFault() }
    if new & 0x2000_0000 != 0 && new & 0x4000_0000 == 0 { return protectionFault() }
    if value >> 32 != 0 { return protectionFault() }
    let old = s.pointee.cr0
    if new & Bits.pg != 0 && old & Bits.pg == 0 {
      if s.pointee.efer & Bits.lme != 0 {
        if s.pointee.cr4 & Bits.pae == 0 { return protectionFault() }
        if segment(.cs).pointee.isLong { return protectionFault() }
        s.pointee.efer |= Bits.lma
      } else if s.pointee.cr4 & Bits.pae != 0, !loadPointers(s.pointee.cr3) {
        return protectionFault()
      }
    } else if new & Bits.pg == 0 && old & Bits.pg != 0 {
      if s.pointee.is64 || s.pointee.cr4 & Bits.pcide != 0 { return protectionFault() }
      s.pointee.efer &= ~Bits.lma
    }
    s.pointee.cr0 = new
    if (old ^ new) & (Bits.pg | Bits.wp | Bits.pe) != 0 { flushTLB() }
    modeChanged()
    return Next.leave
  }

  func setCR3(_ value: UInt64) -> Int {
    if s.pointee.cr0 & Bits.pg != 0, s.pointee.cr4 & Bits.pae != 0, !s.pointee.isLongMode {
      if !loadPointers(value) { return protectionFault() }
    }
    // With process-context identifiers bit 63 says that translations may be kept. They are not:
    // the TLB holds those of one context at a time.
    let keep: UInt64 = s.pointee.cr4 & Bits.pcide != 0 ? 1 << 63 : 0
    if s.pointee.isLongMode && (value & ~keep) >> InterpretedProcessor.physicalAddressBits != 0 {
      return protectionFault()
    }
    s.pointee.cr3 = value & ~keep
    flushLocal()
    return Next.leave
  }

  func setCR4(_ value: UInt64) -> Int {
    // VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP FSGSBASE PCIDE
    // OSXSAVE SMEP SMAP
    let known: UInt64 = 0x0037_0FFF
    if value & ~known != 0 { return protectionFault() }
    let old = s.pointee.cr4
    if s.pointee.isLongMode && value & Bits.pae == 0 { return protectionFault() }
    if value & ~old & Bits.pcide != 0, !s.pointee.isLongMode || s.pointee.cr3 & 0xFFF != 0 {
      return protectionFault()
    }
    s.pointee.cr4 = value
    let touchesPaging =
      Bits.pae | Bits.pse | Bits.smep | Bits.smap | Bits.pge | Bits.pcide
    if (old ^ value) & touchesPaging != 0 {
      if s.pointee.cr0 & Bits.pg != 0, value & Bits.pae != 0, !s.pointee.isLongMode,
        !loadPointers(s.pointee.cr3)
      {
        s.pointee.cr4 = old
        return protectionFault()
      }
      flushTLB()
    }
    modeChanged()
    return Next.leave
  }

  /// The privilege, where it changes.
  func setPrivilege(_ cpl: UInt8) {
    s.pointee.cpl = cpl
  }
}
