mod config;

