<?php

namespace Notes;

class Page
{
    const VERSION = 1;

    public static function show(): string
    {
        return 'version ' . self::VERSION . "\n";
    }
}
