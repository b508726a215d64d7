mod table;
mod walk;
