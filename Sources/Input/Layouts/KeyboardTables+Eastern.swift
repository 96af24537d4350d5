// Made by scripts/keyboard-layouts.py from Debian's xkeyboard-config 2.35.1-1. Not edited by hand.

extension KeyboardTables {
  static let eastern: [Row] = [
    Row(
      name: "tr", title: "Turkish",
      levels: #"""
        " 1 2 3 4 5 6 7 8 9 0 * \-
        q w e r t y u ı o p ğ ü
        a s d f g h j k l ş i ,
        < z x c v b n m ö ç .
        é ! ' ^ + % & / ( ) = ? _
        Q W E R T Y U I O P Ğ Ü
        A S D F G H J K L Ş İ ;
        > Z X C V B N M Ö Ç :
        < > £ # $ ½ ¾ { [ ] } \ |
        @ - € ¶ ₺ ← û î ô - diaeresis ~
        â ß - ª - - hook - - ´ ' `
        | « » ¢ „ “ ” µ × · abovedot
        ° ¡ ² ³ ¼ ⅜ - - - ± ° ¿
        Ω - - ® - ¥ Û Î Ô - abovering macron
        Â - - - - - horn - - acute caron grave
        ¦ < > © ‚ ‘ ’ º - ÷ abovedot
        """#),
    Row(
      name: "gr", title: "Greek",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        ; ς ε ρ τ υ θ ι ο π [ ]
        α σ δ φ γ η ξ κ λ acute ' \
        « ζ χ ψ ω β ν μ , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        : Σ Ε Ρ Τ Υ Θ Ι Ο Π { }
        Α Σ Δ Φ Γ Η Ξ Κ Λ diaeresis " |
        » Ζ Χ Ψ Ω Β Ν Μ < > ?
        - - ½ £ ¼ € ϰ ϗ ₯ - ° ±
        · ϛ € ® - ϒ ϑ ͻ - ϡ tilde iota
        - - ↓ ϕ ϝ - ͼ ϟ ϲ - grave
        | ͽ → © ϖ ϐ ʹ ϻ « »
        - ¹ ² ³ ¾ - - Ϗ
        - Ϛ - ϱ - ϒ ϴ Ͻ - Ϡ macron breve
        - - ↑ - Ϝ - Ͼ Ϟ Ϲ abovecomma abovereversedcomma
        ¦ Ͽ ← - - - ͵ Ϻ - ·
        """#),
    Row(
      name: "ru", title: "Russian",
      levels: #"""
        ё 1 2 3 4 5 6 7 8 9 0 \- =
        й ц у к е н г ш щ з х ъ
        ф ы в а п р о л д ж э \
        / я ч с м и т ь б ю .
        Ё ! " № ; % : ? * ( ) _ +
        Й Ц У К Е Н Г Ш Щ З Х Ъ
        Ф Ы В А П Р О Л Д Ж Э /
        | Я Ч С М И Т Ь Б Ю ,
        """#),
    Row(
      name: "ua", title: "Ukrainian",
      levels: #"""
        ' 1 2 3 4 5 6 7 8 9 0 \- =
        й ц у к е н г ш щ з х ї
        ф і в а п р о л д ж є ґ
        / я ч с м и т ь б ю .
        ʼ ! " № ; % : ? * ( ) _ +
        Й Ц У К Е Н Г Ш Щ З Х Ї
        Ф І В А П Р О Л Д Ж Є Ґ
        | Я Ч С М И Т Ь Б Ю ,
        - ¹ ² § $ ° < > • [ ] — ≠
        ј џ ў ® ё њ - - - - - ъ
        - ы - - - - - љ ђ - э \
        | - ћ © - - ™ - « » /
        ~ - ’ ₴ € - - - - { } – ±
        Ј Џ Ў - Ё Њ - - - - - Ъ
        - Ы - - - - - Љ Ђ - Э |
        ¦ - Ћ - - - - - „ “ …
        """#),
    Row(
      name: "bg", title: "Bulgarian",
      levels: #"""
        ( 1 2 3 4 5 6 7 8 9 0 \- .
        , у е и ш щ к с д з ц ;
        ь я а о ж г т н в м ч „
        ѝ ю й ъ э ф х п р л б
        ) ! ? + " % = : / – № $ €
        ы У Е И Ш Щ К С Д З Ц §
        ѝ Я А О Ж Г Т Н В М Ч “
        Ѝ Ю Й Ъ Э Ф Х П Р Л Б
        """#),
    Row(
      name: "rs", title: "Serbian",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 ' +
        љ њ е р т з у и о п ш ђ
        а с д ф г х ј к л ч ћ ж
        < ж џ ц в б н м , . \-
        ~ ! " # $ % & / ( ) = ? *
        Љ Њ Е Р Т З У И О П Ш Ђ
        А С Д Ф Г Х Ј К Л Ч Ћ Ж
        > Ж Џ Ц В Б Н М ; : _
        ° - - circumflex - - - grave doublegrave acute invertedbreve macron
        \ | € ¶ … ← ↓ → § - ÷ ×
        - „ “ [ ] - - - - - - ¤
        | ‘ ’ ¢ @ { } ^ < > —
        ¬
        - - £ ® - ¥ ↑
        - » «
        ¦ - - © - - - - - - –
        """#),
    Row(
      name: "il", title: "Hebrew",
      levels: #"""
        ; 1 2 3 4 5 6 7 8 9 0 \- =
        / ' ק ר א ט ו ן ם פ ] [
        ש ד ג כ ע י ח ל ך ף , \
        < ז ס ב ה נ מ צ ת ץ .
        ~ ! @ # $ % ^ & * ) ( _ +
        Q W E R T Y U I O P } {
        A S D F G H J K L : " |
        > Z X C V B N M > < ?
        ׳ - - € ₪ ° - - × - - ־ –
        - - - - - װ
        - - - - ױ ײ - - ” „ ״
        | - - - - - - - ’ ‚ ÷



        ¦ - - - - ׆
        """#),
    Row(
      name: "jp", title: "Japanese",
      levels: #"""
        - 1 2 3 4 5 6 7 8 9 0 \- ^ \
        q w e r t y u i o p @ [
        a s d f g h j k l ; : ]
        < z x c v b n m , . / \
        - ! " # $ % & ' ( ) ~ = ~ |
        Q W E R T Y U I O P ` {
        A S D F G H J K L + * }
        > Z X C V B N M < > ? _
        """#),
    Row(
      name: "kr", title: "Korean",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' \
        < z x c v b n m , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : " |
        > Z X C V B N M < > ?
        """#),
  ]
}
